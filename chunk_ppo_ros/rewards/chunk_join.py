"""Joins all reports about one chunk, which may arrive in any order, for the referee."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkId, RewardTerm

MAX_JOINING = 64
"""The largest number of stamps of which something but not everything has arrived.

More of them mean that something is lost, and one is dropped. Stamps without a known chunk are dropped first, because
the policy waits for the outcome of a known chunk. Among equals the oldest is dropped.
"""


@dataclasses.dataclass(frozen=True)
class SourceReport:
    """Holds the report of one reward source on a chunk. `error` is empty, or says why the report cannot be used."""

    source: str
    terms: tuple[RewardTerm, ...]
    terminated: bool = False
    truncated: bool = False
    success: bool = False
    error: str = ""


@dataclasses.dataclass(frozen=True)
class SentChunk:
    """Describes a chunk that was sent to the robot, or that a human drove.

    Attributes:
        id: the identity of the chunk.
        actions: float [H, 14], its targets; rad, grippers normalized.
        num_steps: the number of steps that were asked, 1..H.
    """

    id: ChunkId
    actions: np.ndarray
    num_steps: int


@dataclasses.dataclass(frozen=True)
class Joined:
    """Holds a chunk with all that the referee needs to judge it.

    Attributes:
        chunk: the chunk as it was sent.
        execution: what the robot did with it.
        sources: the reports of the reward sources by their names.
        feedback: the feedback of the operator, None where there was none.
    """

    chunk: SentChunk
    execution: ExecutionResult
    sources: Mapping[str, SourceReport] = dataclasses.field(default_factory=dict)
    feedback: float | None = None


@dataclasses.dataclass(frozen=True)
class InFlight:
    """Describes a chunk whose outcome is not known yet.

    Attributes:
        stamp: the stamp of the chunk, ns of ROS time.
        id: the identity of the chunk.
        waiting_since: when the chunk or the first report on it arrived, in seconds of a steady clock.
        missing: who has not reported on the chunk: 'robot', or the names of sources.
    """

    stamp: int
    id: ChunkId
    waiting_since: float
    missing: tuple[str, ...]


@dataclasses.dataclass
class _Joining:
    """Holds what has arrived for one stamp so far.

    The reports may arrive in any order, so that each combination of the parts is possible. A type for each combination
    would say less than this sentence.
    """

    stamp: int
    waiting_since: float
    chunk: SentChunk | None = None
    execution: ExecutionResult | None = None
    sources: dict[str, SourceReport] = dataclasses.field(default_factory=dict)
    feedback: float | None = None


class ChunkJoin:
    """Joins chunk, execution and the reports of all required sources by their stamp, in any order of arrival.

    Args:
        sources: names of the required reward sources.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._required = tuple(sources)
        self._joining: dict[int, _Joining] = {}

    def add_chunk(self, stamp: int, id: ChunkId, actions: np.ndarray, num_steps: int, *, now: float) -> None:
        """Adds a chunk that was sent with the targets `actions` [H, 14], of which `num_steps` were asked."""
        self._entry(stamp, now).chunk = SentChunk(id, actions, num_steps)

    def add_execution(self, execution: ExecutionResult, *, now: float) -> None:
        """Adds the result of a chunk that the robot has ended."""
        entry = self._entry(execution.stamp, now)
        entry.execution = entry.execution or execution

    def add_source(self, stamp: int, report: SourceReport, *, now: float) -> None:
        """Adds the report of a reward source on a chunk."""
        self._entry(stamp, now).sources.setdefault(report.source, report)

    def add_feedback(self, value: float) -> ChunkId | None:
        """Adds the operator's feedback to the newest chunk in flight.

        Returns:
            The identity of that chunk, or None where no chunk is in flight.
        """
        for _, entry in sorted(self._joining.items(), reverse=True):
            if entry.chunk is not None:
                entry.feedback = (entry.feedback or 0.0) + value
                return entry.chunk.id
        return None

    @property
    def feedback(self) -> dict[int, float]:
        """The feedback on chunks whose outcome is not known yet, by their stamps."""
        return {stamp: entry.feedback for stamp, entry in self._joining.items() if entry.feedback is not None}

    def restore_feedback(self, feedback: Mapping[int, float], *, now: float) -> None:
        """Adds feedback that an earlier process got, by the stamps of the chunks, which arrive again."""
        for stamp, value in feedback.items():
            self._entry(stamp, now).feedback = value

    def knows(self, stamp: int) -> bool:
        """Returns whether a chunk with this stamp waits for its outcome."""
        entry = self._joining.get(stamp)
        return entry is not None and entry.chunk is not None

    def pop_complete(self) -> list[Joined]:
        """Returns the complete chunks, ordered by stamp. Where no step was executed, no source needs to report."""
        candidates = [self._joined(entry) for _, entry in sorted(self._joining.items())]
        complete = [joined for joined in candidates if joined is not None]
        for joined in complete:
            del self._joining[joined.execution.stamp]
        return complete

    def pop_episode(self, run_id: str, episode: int) -> list[InFlight]:
        """Withdraws and returns the chunks of an episode that is over."""
        chunks = [chunk for chunk in self.in_flight() if (chunk.id.run_id, chunk.id.episode) == (run_id, episode)]
        for chunk in chunks:
            del self._joining[chunk.stamp]
        return chunks

    def in_flight(self) -> list[InFlight]:
        """Returns the chunks whose outcome is not known yet, ordered by stamp."""
        return [
            InFlight(entry.stamp, entry.chunk.id, entry.waiting_since, self._missing(entry))
            for _, entry in sorted(self._joining.items())
            if entry.chunk is not None
        ]

    def _missing(self, entry: _Joining) -> tuple[str, ...]:
        if entry.execution is None:
            return ("robot",)
        return tuple(name for name in self._required if name not in entry.sources)

    def _joined(self, entry: _Joining) -> Joined | None:
        """Returns the joined entry where it is complete, otherwise None."""
        if entry.chunk is None or entry.execution is None:
            return None
        if entry.execution.num_steps and self._missing(entry):
            return None
        return Joined(entry.chunk, entry.execution, entry.sources, entry.feedback)

    def _entry(self, stamp: int, now: float) -> _Joining:
        entry = self._joining.setdefault(stamp, _Joining(stamp, now))
        while len(self._joining) > MAX_JOINING:
            others = self._joining.keys() - {stamp}
            del self._joining[min(others, key=lambda other: (self._joining[other].chunk is not None, other))]
        return entry
