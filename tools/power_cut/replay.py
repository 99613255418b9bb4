"""Replays the recorded calls of a case, and judges what a power cut leaves after each of them."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import random
import shutil
import sys
from pathlib import Path

from power_cut import trace
from power_cut.case import Case
from power_cut.disk import Disk, State
from power_cut.inode import Cut

TOOLS = Path(__file__).parents[1]
TEMPORARY = "tmp"
"""The folder of temporary files below that of a case, whose calls are followed because content is copied from it."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A state after a cut that breaks a promise.

    Attributes:
        call: the number of the call before the cut.
        cut: what the cut left.
        text: what is wrong.
    """

    call: int
    cut: Cut
    text: str


@dataclasses.dataclass(frozen=True)
class Replayed:
    """The result of a case: the numbers of calls, of states and of different ones, and the states that are wrong."""

    case: Case
    num_calls: int
    num_states: int
    num_different: int
    faults: tuple[Fault, ...]

    @property
    def passed(self) -> bool:
        """Whether the case kept its promises, or failed where it must."""
        return bool(self.faults) == self.case.must_fail

    def __str__(self) -> str:
        """Returns one line with the counts."""
        expected = " (must be more than 0)" if self.case.must_fail else ""
        return (
            f"case={self.case.name} calls={self.num_calls} states={self.num_states} different={self.num_different} "
            f"broken={len(self.faults)}{expected}"
        )


def record(case: Case, folder: Path) -> tuple[Path, list[Path]]:
    """Runs the sessions of a case below strace. Returns the folder in which it wrote, and the recorded calls."""
    live = folder / "live"
    live.mkdir()
    traces = [folder / f"trace_{session}" for session in range(case.num_sessions)]
    (live / TEMPORARY).mkdir()
    environment = {
        "PYTHONPATH": os.pathsep.join([str(TOOLS), *filter(None, sys.path)]),
        "TMPDIR": str(live / TEMPORARY),
    }
    for session, file in enumerate(traces):
        program = [sys.executable, "-m", "power_cut.writer", case.name, str(live), str(session)]
        faults = case.faults[session] if case.faults else ()
        trace.record(program, file, environment=os.environ | environment, faults=faults)
    return live, traces


class Replay:
    """Replays a case.

    Args:
        case: the case.
        folder: an empty folder for the recording. Where it is in memory, syncs cost nothing.
        num_random: the number of states of each random kind that are judged after each call.
        seed: the seed of what is random.
        every: cuts are made after each call whose number it divides.
    """

    def __init__(self, case: Case, folder: Path, *, num_random: int, seed: int, every: int = 1) -> None:
        self._case, self._folder = case, folder
        self._num_random, self._every = num_random, every
        self._random = random.Random(seed)
        self._verdicts: dict[tuple[bytes, int], str] = {}
        self._num_states = 0
        self._faults: list[Fault] = []

    def run(self) -> Replayed:
        """Records the case, judges every cut, and returns the result."""
        live, traces = record(self._case, self._folder)
        disk, number = Disk(TEMPORARY), 0
        for file in traces:
            disk.begin_program()
            for call in trace.read(file, live):
                disk.do(call)
                number += 1
                if number % self._every == 0:
                    self._judge(disk, number)
        self._compare(disk, live)
        return Replayed(self._case, number, self._num_states, len(self._verdicts), tuple(self._faults))

    def _judge(self, disk: Disk, number: int) -> None:
        for cut in Cut:
            for _ in range(self._num_random if cut in (Cut.SOME, Cut.PREFIX) else 1):
                text = self._verdict(disk.after(cut, self._random), disk.said)
                self._num_states += 1
                if text:
                    self._faults.append(Fault(number, cut, text))

    def _verdict(self, state: State, said: list[str]) -> str:
        key = (_digest(state), len(said))
        if key not in self._verdicts:
            left = self._folder / "left"
            write_state(state, left)
            self._verdicts[key] = judged(self._case, left, said)
            shutil.rmtree(left)
        return self._verdicts[key]

    def _compare(self, disk: Disk, live: Path) -> None:
        """Checks that the model has followed the calls, by what is in the folder at the end.

        Raises:
            ValueError: when the model has another content.
        """
        modeled, found = dict(disk.after(Cut.KEEP, self._random)), read_state(live)
        different = sorted(path for path in modeled.keys() | found.keys() if modeled.get(path) != found.get(path))
        if different:
            raise ValueError(f"the model must have what is on the disk, but these differ: {', '.join(different)}")


def judged(case: Case, folder: Path, said: list[str]) -> str:
    """Returns what a case says about a folder. An error of its reader is what is wrong, too."""
    try:
        return case.judge(folder, said)
    except Exception as error:  # Whatever ends the reader is a fault of the state.
        return f"cannot be read ({type(error).__name__}: {error})"


def write_state(state: State, folder: Path) -> None:
    """Writes what a cut has left."""
    folder.mkdir()
    for path in sorted(state):
        content = state[path]
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def read_state(folder: Path) -> State:
    """Returns what is in a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")
    }


def texts(faults: tuple[Fault, ...], limit: int = 5) -> list[str]:
    """Returns a line for each of the most frequent faults, with the first cut that shows it."""
    counts = collections.Counter(fault.text for fault in faults)
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.text, fault)
    return [
        f"  {count} times, first after call {first[text].call} where {first[text].cut.value} is left: {text}"
        for text, count in counts.most_common(limit)
    ]


def _digest(state: State) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(state):
        content = state[path]
        digest.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        digest.update(content or b"")
    return digest.digest()
