"""Computes periods, gaps and speeds of a recorded stream of commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from chunk_ppo_ros.data.bags.command_stream import CommandStream, PlayedSpan


@dataclasses.dataclass(frozen=True)
class StreamFigures:
    """Holds what was measured of the commands to one arm.

    A boundary lies between two chunks of one episode. The arm is a simulator's or at rest where an episode begins.

    Attributes:
        num_chunks: the number of chunks whose commands were all recorded.
        periods: float64 [n], the times between two commands of one chunk, s.
        gaps: float64 [b], the time from the last command of a chunk to the first of the next, s, at each boundary.
        end_speeds: float64 [b], the speed of the fastest joint in the last step of a chunk before a boundary, rad/s.
        start_speeds: float64 [b], the same in the first step after it.
        accelerations: float64 [m], the change of speed of the fastest changing joint from one step of a chunk to the
            next, over the control period, rad/s^2.
    """

    num_chunks: int
    periods: np.ndarray
    gaps: np.ndarray
    end_speeds: np.ndarray
    start_speeds: np.ndarray
    accelerations: np.ndarray

    @classmethod
    def of(cls, stream: CommandStream, *, rate: float) -> StreamFigures:
        """Returns the figures of a stream.

        Args:
            stream: the commands.
            rate: the control rate, Hz. Speeds count by it, whatever time passed between two commands.
        """
        pairs = list(boundaries(stream))
        speeds = fastest(np.diff(stream.positions, axis=0) * rate)
        changes = fastest(np.diff(stream.positions, n=2, axis=0) * rate**2)
        times, spans = stream.received, stream.spans
        return cls(
            num_chunks=len(spans),
            periods=_joined([np.diff(times[span.first : span.last + 1]) for span in spans]),
            gaps=np.array([times[after.first] - times[before.last] for before, after in pairs]),
            end_speeds=np.array([speeds[before.last - 1] for before, _ in pairs]),
            start_speeds=np.array([speeds[after.first - 1] for _, after in pairs]),
            accelerations=_joined([changes[span.first : max(span.last - 1, span.first)] for span in spans]),
        )

    def text(self) -> str:
        """Returns the figures as lines for people."""
        num_commands = len(self.periods) + self.num_chunks
        return "\n".join(
            (
                f"{self.num_chunks} chunks, {num_commands} commands, {len(self.gaps)} boundaries",
                _line("period of the commands of a chunk", 1e3 * self.periods, "ms"),
                _line("gap at a boundary", 1e3 * self.gaps, "ms"),
                _line("speed in the last step before a boundary", self.end_speeds, "rad/s"),
                _line("speed in the first step after a boundary", self.start_speeds, "rad/s"),
                _line("acceleration within a chunk", self.accelerations, "rad/s^2"),
            )
        )

    def record(self) -> dict[str, object]:
        """Returns percentiles of the figures as values for JSON, in SI units."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: percentiles(value) if isinstance(value, np.ndarray) else value for name, value in arrays.items()}


def boundaries(stream: CommandStream) -> Iterator[tuple[PlayedSpan, PlayedSpan]]:
    """Yields each pair of chunks that followed each other in one episode."""
    for before, after in zip(stream.spans, stream.spans[1:], strict=False):
        if before.episode is not None and before.episode == after.episode and 0 < before.last < after.first:
            yield before, after


def fastest(rates: np.ndarray) -> np.ndarray:
    """Returns float64 [n], the largest absolute value over the joints of float64 [n, 6]."""
    return np.max(np.abs(rates), axis=1)


def percentiles(values: np.ndarray) -> dict[str, float]:
    """Returns the median, the 95th and 99th percentile, and the largest of values; nothing where there are none."""
    if not len(values):
        return {}
    names = {"median": 50, "p95": 95, "p99": 99, "largest": 100}
    return {name: float(np.percentile(values, percent)) for name, percent in names.items()}


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])


def _line(name: str, values: np.ndarray, unit: str) -> str:
    found = percentiles(values)
    shown = ", ".join(f"{key} {value:.3g}" for key, value in found.items()) or "none"
    return f"{name}, {unit}: {shown}"
