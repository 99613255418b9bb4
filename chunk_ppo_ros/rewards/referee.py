"""Joins all reports about one chunk and decides how it ended, as a referee.

Decisions here depend on their arguments alone. `nodes/reward/` receives the reports and publishes the decisions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, RewardTerm
from chunk_ppo_ros.rewards import human
from chunk_ppo_ros.rewards import terms as terms_lib
from chunk_ppo_ros.rewards.episodes import Ending

MAX_JOINING = 64
"""The largest number of stamps of which something but not everything has arrived.

More of them mean that something is lost, and one is dropped. Stamps without a known chunk are dropped first, because
the policy waits for the outcome of a known chunk. Among equals the oldest is dropped.
"""
NO_FAULT = (Status.REFUSED, Status.TAKEOVER, Status.CANCELLED)
"""The statuses that are harmless where no step was executed.

Nothing has moved then. The chunk is a gap, and the episode continues from the same state.
"""
MAX_REFUSALS = 10
"""The number of chunks that may be refused in a row before a person has to look for the cause."""


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

    The reports may arrive in any order, so that each combination of the parts is possible, except feedback before the
    chunk. A type for each combination would say less than this sentence.
    """

    stamp: int
    waiting_since: float
    chunk: SentChunk | None = None
    execution: ExecutionResult | None = None
    sources: dict[str, SourceReport] = dataclasses.field(default_factory=dict)
    feedback: float | None = None


@dataclasses.dataclass(frozen=True)
class JudgedChunk:
    """Holds the referee's decision on one chunk.

    Attributes:
        outcome: how the chunk ended.
        valid: whether the chunk can be trained on.
        reason: the reason why it cannot be trained on; empty where it can.
        robot_fault: whether the reason is that the robot or the reward failed. Then its episode does not count.
    """

    outcome: ChunkOutcome
    valid: bool
    reason: str = ""
    robot_fault: bool = False

    def marked(self, *, success: bool, config: RewardConfig) -> JudgedChunk:
        """Returns the decision after the operator has said that the episode ended with this chunk."""
        return dataclasses.replace(self, outcome=human.marked(self.outcome, success=success, config=config))

    def ending(self) -> tuple[Ending, str]:
        """Returns how and why the episode ends with this chunk, which must be one that ends the episode."""
        if self.outcome.success:
            return Ending.SUCCESS, "the task is solved"
        if self.outcome.terminated:
            return Ending.FAILURE, "the task has failed"
        if self.outcome.fault:
            return Ending.FAILURE, f"robot fault: {self.outcome.fault}"
        return Ending.TIME_LIMIT, "the time limit is reached"


def void(reason: str, *, stamp: int) -> JudgedChunk:
    """Returns the decision on a chunk, stamped `stamp` (ns), that cannot be trained on whatever the robot did."""
    return _not_counted(ExecutionResult.nothing(Status.REFUSED, reason, stamp=stamp, end=stamp))


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


def judge(joined: Joined, *, config: RewardConfig, time_limit_reached: bool) -> JudgedChunk:
    """Decides how a chunk ended.

    Args:
        joined: a complete entry of ChunkJoin.
        config: the settings of the reward.
        time_limit_reached: whether this chunk is the last that the episode may have.

    Returns:
        The decision. A FAULT after some steps truncates the chunk, so that the future counts but this segment ends. The
        time limit does not count while a human drives. It ends neither the chunk that a takeover cut nor a chunk that
        the human drove. The chunk is not valid where no step was executed or a report cannot be used.
    """
    execution, actions = joined.execution, joined.chunk.actions
    reports = [joined.sources[name] for name in config.sources if name in joined.sources]
    try:
        _check_usable(joined, reports)
        terms = terms_lib.chunk_terms([report.terms for report in reports], execution, actions, config)
    except RewardError as error:
        harmless = execution.num_steps == 0 and execution.status in NO_FAULT
        nothing = ExecutionResult.nothing(execution.status, str(error), stamp=execution.stamp, end=execution.end)
        return _not_counted(nothing, robot_fault=not harmless)
    terminated = any(report.terminated for report in reports)
    fault = execution.status is Status.FAULT
    by_human = execution.human_driven or execution.status is Status.TAKEOVER
    late = time_limit_reached or any(report.truncated for report in reports)
    outcome = ChunkOutcome(
        reward=terms_lib.total(terms),
        reward_terms=terms,
        execution=dataclasses.replace(execution, message=execution.message or _unexplained(execution.status)),
        terminated=terminated,
        truncated=not terminated and (fault or (late and not by_human)),
        success=any(report.success for report in reports),
    )
    if joined.feedback is not None:
        outcome = human.with_feedback(outcome, joined.feedback, config)
    return JudgedChunk(outcome, valid=True)


def _check_usable(joined: Joined, reports: Sequence[SourceReport]) -> None:
    """Refuses a chunk that cannot be trained on, whatever its terms are.

    Raises:
        RewardError: for too many executed steps, no executed step, or an error of a source; the text says which.
    """
    execution, num_asked = joined.execution, joined.chunk.num_steps
    if execution.num_steps > num_asked:
        raise RewardError(f"executed steps must be at most those asked ({num_asked}), got {execution.num_steps}")
    if execution.num_steps == 0:
        raise RewardError(f"{execution.status.name}: {execution.message or 'no step was executed'}")
    errors = [report.error for report in reports if report.error]
    if errors:
        raise RewardError(errors[0])


def _unexplained(status: Status) -> str:
    return "fault without a reason" if status is Status.FAULT else ""


def _not_counted(execution: ExecutionResult, *, robot_fault: bool = False) -> JudgedChunk:
    """Returns the decision on a chunk of which nothing counts, for the reason that is the message of `execution`."""
    outcome = ChunkOutcome.without_steps(execution)
    return JudgedChunk(outcome, valid=False, reason=execution.message, robot_fault=robot_fault)
