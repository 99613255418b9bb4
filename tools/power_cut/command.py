"""Runs `make power-cut`: replays power cuts after every system call, and damages every kind of stored file."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from power_cut import trace
from power_cut.case import Case
from power_cut.damage import Stored, damage
from power_cut.registry import CASES
from power_cut.replay import Replay, texts
from power_cut.stored_files import STORED

_MEMORY = pathlib.Path("/dev/shm")
"""A folder in memory, where syncs cost nothing. The states of the disk are in it where it exists."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="power-cut", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--random", type=int, default=6, help="number of random states of each kind after each call")
    parser.add_argument("--every", type=int, default=1, help="cut only after each call whose number it divides")
    parser.add_argument("--damages", type=int, default=200, help="number of cuts, and of flips, of each kind of file")
    parser.add_argument("--part", choices=("replay", "damage"), help="do only one of the two")
    parser.add_argument("--only", default="", help="run only cases whose names contain this text")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cases, prints their counts, and returns 1 where one is not as it must be.

    Where strace is missing, files are only damaged, and a line says why nothing is replayed.
    """
    options = parse(arguments)
    passed, reason = True, trace.why_not()
    if options.part != "damage" and reason:
        print(f"power cuts are not replayed: {reason}")
    elif options.part != "damage":
        for case in (case for name, case in CASES.items() if options.only in name):
            passed &= _run(case(), options)
    if options.part != "replay":
        for stored in (stored for stored in STORED if options.only in stored.name):
            passed &= _damage(stored(), options)
    return 0 if passed else 1


def _run(case: Case, options: argparse.Namespace) -> bool:
    """Replays a case, prints its counts and what is wrong, and returns whether it is as it must be."""
    started = time.monotonic()
    with _folder() as folder:
        replay = Replay(case, folder, num_random=options.random, seed=options.seed, every=options.every)
        result = replay.run()
    print(f"{result} seconds={time.monotonic() - started:.0f}", flush=True)
    for line in texts(result.faults, limit=2 if case.must_fail else 5):
        print(line, flush=True)
    return result.passed


def _damage(stored: Stored, options: argparse.Namespace) -> bool:
    """Damages files of a kind, prints the counts and what is wrong, and returns whether nothing is."""
    with _folder() as folder:
        result = damage(stored, folder, count=options.damages, seed=options.seed)
    print("\n  ".join([f"{result}", *result.wrong[:5]]), flush=True)
    return not result.wrong


@contextlib.contextmanager
def _folder() -> Iterator[pathlib.Path]:
    """Makes a folder for one case and removes it afterwards."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield pathlib.Path(folder).resolve()


if __name__ == "__main__":
    sys.exit(main())
