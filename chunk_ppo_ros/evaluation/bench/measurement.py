"""Times repeated work and returns figures, in the process of `bench` and in others. It needs no other package."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

InputT = TypeVar("InputT")

WARM_UPS = 2
"""The number of runs before the first one that counts. One compiles, and one fills caches and memory pools."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured quantity with the value of every run.

    Attributes:
        part: name of the part of the bench.
        name: name of the measured quantity.
        unit: unit of the values.
        values: one value for each run, in order.
    """

    part: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the runs."""
        return statistics.median(self.values)

    def record(self) -> dict[str, object]:
        """Returns the figure as values for JSON. `from_record` inverts it."""
        summary = {"median": self.median, "min": min(self.values), "max": max(self.values), "runs": len(self.values)}
        return {"part": self.part, "name": self.name, "unit": self.unit, **summary, "values": list(self.values)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Figure:
        """Returns the figure from its record."""
        return cls(record["part"], record["name"], record["unit"], tuple(record["values"]))

    def __str__(self) -> str:
        low, high = _rounded(min(self.values)), _rounded(max(self.values))
        return f"{self.name:<58} {_rounded(self.median):>8} {self.unit:<14} {low:>8} {high:>8} {len(self.values):>5}"


HEADING = f"{'':<58} {'median':>8} {'':<14} {'min':>8} {'max':>8} {'runs':>5}"
"""The heading above figures that are printed one per line."""


@dataclasses.dataclass(frozen=True)
class Case(Generic[InputT]):
    """Work that is timed, on inputs of one type.

    Attributes:
        name: name of the measured quantity.
        unit: unit of the figure.
        prepare: function that makes a new input for each run, outside of the measured time.
        work: function that is timed; it must not return before its result is computed.
        convert: function from the seconds of a run to the figure.
    """

    name: str
    unit: str
    prepare: Callable[[], InputT]
    work: Callable[[InputT], object]
    convert: Callable[[float], float]

    def run(self) -> float:
        """Prepares an input, times the work on it, and returns the value of the figure."""
        given = self.prepare()
        started = time.perf_counter()
        self.work(given)
        return self.convert(time.perf_counter() - started)


class Measurable(Protocol):
    """The part of a `Case` that `measure` reads, whatever the type of its inputs."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    def run(self) -> float: ...


def milliseconds(seconds: float) -> float:
    """Returns a run's time in ms."""
    return 1e3 * seconds


def rate_of(count: int) -> Callable[[float], float]:
    """Returns a function that converts the time of a run that handles `count` things to things per second."""
    return lambda seconds: count / seconds


def measure(part: str, cases: Sequence[Measurable], *, runs: int) -> list[Figure]:
    """Runs all cases in turn, so that a change of the machine's load affects all of them equally.

    Args:
        part: name of the part that they belong to.
        cases: cases to measure and compare.
        runs: number of timed runs of each case, after `WARM_UPS` others.

    Returns:
        One figure for each case.
    """
    values: list[list[float]] = [[] for _ in cases]
    for run in range(-WARM_UPS, runs):
        for case, of_case in zip(cases, values, strict=True):
            value = case.run()
            if run >= 0:
                of_case.append(value)
    return [Figure(part, case.name, case.unit, tuple(found)) for case, found in zip(cases, values, strict=True)]


def _rounded(value: float) -> str:
    """Returns the value with three significant digits, or with all digits before the point where those are more."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
