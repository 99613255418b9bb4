"""A bar with a rate and an end where a terminal is, and a plain line now and then where none is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.reporting.progress.durations import duration_text

PERIOD = 30.0
"""The seconds from one plain line to the next."""
COMPILING = "compiling, which takes seconds to a minute"


class ProgressBar:
    """Shows how much of a work is done, on standard error. It is a context manager, which removes the bar at its end.

    Where standard error is no terminal, a line comes after each PERIOD, so that a short work is quiet.

    Args:
        what: the work.
        unit: what is counted, in the singular.
        total: how many there are; None where nobody knows yet.
        initial: how many are done already.
        compiles: whether the first step waits until XLA has compiled. The bar then says so, and its rate leaves that
            time out.
        stream: where it is shown.
        clock: returns the steady time, s.

    Attributes:
        total: how many there are, which may change.
        done: how many are done.
    """

    def __init__(
        self,
        what: str,
        *,
        unit: str,
        total: int | None = None,
        initial: int = 0,
        compiles: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.done = total, initial
        self._what, self._unit, self._compiles = what, unit, compiles
        self._stream, self._clock = stream or sys.stderr, clock
        self._initial, self._since, self._told = initial, clock(), clock()
        self._bar: tqdm | None = None
        if shows_bars(self._stream):
            text = f"{what} ({COMPILING})" if compiles else what
            self._bar = tqdm(desc=text, unit=unit, total=total, initial=initial, leave=False, file=self._stream)
        elif compiles:
            self._print(f"{what}: {COMPILING}")

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, more: int = 1) -> None:
        """Counts `more` that are done."""
        if self._compiles:
            self._end_compiling()
        self.done += more
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(more)
        elif self._clock() - self._told >= PERIOD:
            self._told = self._clock()
            self._print(self._plain_line())

    def set(self, done: int, total: int) -> None:
        """Says how many are done, and how many there are."""
        self.total = total
        self.update(done - self.done)

    def note(self, text: str) -> None:
        """Shows a text behind the bar of a terminal."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        """Removes the bar, so that a line can follow."""
        if self._bar is not None:
            self._bar.close()

    def _end_compiling(self) -> None:
        self._compiles, self._initial, self._since = False, self.done + 1, self._clock()
        if self._bar is not None:
            self._bar.set_description(self._what, refresh=False)
            self._bar.unpause()

    def _plain_line(self) -> str:
        of = "" if self.total is None else f"/{self.total}"
        units = f"{self._unit}es" if self._unit.endswith("ch") else f"{self._unit}s"
        counted, elapsed = self.done - self._initial, self._clock() - self._since
        if counted <= 0 or elapsed <= 0.0:
            return f"{self._what}: {self.done}{of} {units}"
        rate = counted / elapsed
        left = "" if self.total is None else f", {duration_text((self.total - self.done) / rate)} left"
        speed = f"{rate:.1f} a second" if rate >= 0.95 else f"{1.0 / rate:.1f} s each"
        return f"{self._what}: {self.done}{of} {units}, {speed}{left}"

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def shows_bars(stream: TextIO) -> bool:
    """Returns whether a bar that overwrites itself may be shown on a stream.

    The supervisor of the graph says by a variable that it shows the bars of its nodes, whose output is a pipe to it.
    """
    return stream.isatty() or os.environ.get(SHOWS_PROGRESS) == "1"


def progress_bar(what: str, *, unit: str, total: int | None = None, compiles: bool = False) -> ProgressBar:
    """Returns a bar over a work on standard error; see `ProgressBar` for the arguments."""
    return ProgressBar(what, unit=unit, total=total, compiles=compiles)
