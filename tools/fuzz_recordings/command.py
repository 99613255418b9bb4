"""Runs `make fuzz`: damages small recordings of every format, and counts what the readers make of them."""

from __future__ import annotations

import argparse
import collections
import functools
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from fuzz_recordings.byte_faults import BYTE_FAULTS, Fault
from fuzz_recordings.content_faults import damage_content
from fuzz_recordings.judge import BROKEN, VERDICTS, judge
from fuzz_recordings.reading import Reading, in_child, read
from fuzz_recordings.samples import SAMPLES, Sample

NUM_CASES = 2000
_SHARE_OF_CONTENT = 0.3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--cases", type=int, default=NUM_CASES, help="number of damaged recordings")
    parser.add_argument("--case", type=int, help="run only the case of this number, to see it again")
    parser.add_argument("--keep", type=pathlib.Path, help="empty folder for damaged recordings that were misread")
    parser.add_argument("--only", help="run only samples whose names contain this text")
    return parser.parse_args(arguments)


def damage(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    """Damages a recording at random, and returns what was done."""
    if random.random() < _SHARE_OF_CONTENT:
        fault = damage_content(folder, random)
        if fault is not None:
            return fault
    return BYTE_FAULTS[random.integers(len(BYTE_FAULTS))](folder, random)


class Fuzz:
    """Holds the whole recordings, and runs cases.

    Args:
        folder: an empty folder for the recordings.
        samples: the kinds of recordings.
        seed: the seed of everything random.
    """

    def __init__(self, folder: pathlib.Path, samples: Sequence[Sample], *, seed: int) -> None:
        """Writes and reads the whole recordings. The class documents arguments."""
        self._folder, self._samples, self._seed = folder, samples, seed
        self._whole: dict[str, Reading] = {}
        for sample in samples:
            self._whole[sample.name] = whole = in_child(
                functools.partial(_write_and_read, sample, folder / sample.name)
            )
            if whole.outcome != "read" or len(whole.episodes) != 2:
                raise ValueError(f"the sample {sample.name} must be read whole, got {whole.outcome}: {whole.text}")

    def run(self, number: int, damaged: pathlib.Path) -> tuple[str, str]:
        """Runs a case in the folder `damaged`, which must not exist, and returns its verdict and a text of one case."""
        random = np.random.default_rng([self._seed, number])
        sample = self._samples[number % len(self._samples)]
        shutil.copytree(self._folder / sample.name, damaged)
        fault = damage(damaged, random)
        verdict, why = judge(read(damaged), self._whole[sample.name], fault, sample, damaged)
        return verdict, f"case {number}, {sample.name}, {fault.kind} {fault.text}: {verdict} {why}"


def _write_and_read(sample: Sample, folder: pathlib.Path) -> Reading:
    folder.mkdir()
    sample.write(folder)
    return read(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cases, prints those that broke a rule and the counts, and returns 1 where a rule was broken."""
    options = parse(arguments)
    samples = [sample for sample in SAMPLES if not options.only or options.only in sample.name]
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "whole"
        whole.mkdir()
        fuzz = Fuzz(whole, samples, seed=options.seed)
        for number in range(options.cases) if options.case is None else [options.case]:
            damaged = pathlib.Path(folder) / "damaged"
            verdict, text = fuzz.run(number, damaged)
            counts[verdict] += 1
            if verdict in BROKEN or options.case is not None:
                print(text, flush=True)
                if options.keep:
                    shutil.copytree(damaged, options.keep / f"case_{number}")
            shutil.rmtree(damaged, ignore_errors=True)
    print(f"cases={counts.total()} " + " ".join(f"{verdict}={counts[verdict]}" for verdict in VERDICTS))
    return 1 if any(counts[verdict] for verdict in BROKEN) else 0


if __name__ == "__main__":
    sys.exit(main())
