"""The counter of a run, whose numbers must never be given out twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.counter_file import CounterFile
from power_cut.case import Case, numbers, say

_RUN = "run"
_NUM_NUMBERS = 12


class CounterCase(Case):
    """Stores the next number, and then uses a number."""

    name = "counter_file"
    num_sessions = 2

    def write(self, folder: Path, session: int) -> None:
        """Uses numbers in two processes."""
        file = _file(folder)
        first = file.read(_RUN)
        for number in range(first, first + _NUM_NUMBERS):
            file.write(_RUN, number + 1)
            say(f"USED {number}")

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Reads the next number as a process that is started anew."""
        used, following = numbers(said, "USED"), _file(folder).read(_RUN)
        return f"number {following} is used again" if following <= max(used, default=-1) else ""


def _file(folder: Path) -> CounterFile:
    return CounterFile(folder / "runs" / "next.json", "next", without="numbers begin at 0")
