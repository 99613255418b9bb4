"""Assembles transitions from chunks, outcomes and bootstraps, which may arrive in any order.

This module decides the next value of each chunk. The outcome of a chunk has been decided before. In the graph, the
referee of reward_node decides it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.types import (
    NO_SOURCE,
    ChunkId,
    ChunkOutcome,
    ModelObservation,
    ObservationSource,
    SampledChunk,
    Transition,
)
from chunk_ppo_ros.rewards.chunk_records import Finished, NextValue, Pending, Sampled
from chunk_ppo_ros.robot.chunk_length import chunk_discount

MAX_FINISHED = 1024
"""The number of finished chunks that are remembered.

They make duplicates known, and give a late predecessor its next value.
"""


@dataclasses.dataclass(frozen=True)
class Gap:
    """Names a chunk that makes no transition, with the reason."""

    id: ChunkId
    reason: str


class TransitionAssembler:
    """Joins what belongs to one chunk and finds its next value.

    A transition is complete when its chunk and its outcome have arrived and its next value is known. The next value is
      - 0 where the chunk terminated;
      - the value of a bootstrap, which also gives the next observation, where the chunk was cut (truncated, ended by a
        takeover, or last in the rollout);
      - otherwise the value of the next chunk of the same run, episode and policy version, or of a bootstrap.
    A chunk of which no step was executed makes a gap and no transition. Duplicates are ignored.
    """

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self.records: dict[int, Pending | Finished] = {}
        self._bootstraps: dict[int, NextValue] = {}
        self._discarded: set[tuple[str, int]] = set()
        self._gaps: list[Gap] = []

    def add_chunk(self, id: ChunkId, chunk: SampledChunk) -> None:
        """Adds a chunk that was sampled.

        Raises:
            ValueError: where the sequence number belongs to another chunk.
        """
        match self._record(id):
            case Pending(chunk=None) as pending:
                pending.chunk = chunk
            case Finished(sampled=None) as finished:
                finished.sampled = Sampled(chunk.value, chunk.policy_version)

    def add_outcome(self, id: ChunkId, outcome: ChunkOutcome) -> None:
        """Adds the outcome of a chunk that has ended.

        Raises:
            ValueError: where the sequence number belongs to another chunk.
        """
        match self._record(id):
            case Pending(outcome=None) as pending:
                pending.outcome = outcome

    def amend_outcome(
        self, id: ChunkId, amend: Callable[[ChunkOutcome], ChunkOutcome]
    ) -> tuple[ChunkOutcome, ChunkOutcome] | None:
        """Changes the outcome of a chunk whose transition is not complete yet.

        Returns:
            The outcome before and after the change. None where the transition is complete, or the chunk has no outcome.
        """
        record = self.records.get(id.sequence_number)
        if not isinstance(record, Pending) or record.id != id:
            return None
        if record.outcome is None or record.outcome.num_steps == 0:
            return None
        before, record.outcome = record.outcome, amend(record.outcome)
        return before, record.outcome

    def add_bootstrap(
        self,
        sequence_number: int,
        observation: ModelObservation,
        value: float,
        source: ObservationSource = NO_SOURCE,
    ) -> None:
        """Adds the value after a chunk with which a segment ended.

        Args:
            sequence_number: the sequence number of the chunk.
            observation: the observation of the model after the chunk.
            value: V(observation) by the chunk's policy version, in units of reward.
            source: the source of the observation.
        """
        if not isinstance(self.records.get(sequence_number), Finished):
            self._bootstraps.setdefault(sequence_number, NextValue(value, observation, source))

    def discard_episode(self, episode: int, run_id: str | None = None) -> list[ChunkId]:
        """Drops the pending chunks of an episode, and ignores what arrives about the episode later.

        Args:
            episode: the number of the episode.
            run_id: the run of the episode. Without it, the episodes of this number are dropped in all runs that have
                chunks here.

        Returns:
            The chunks that were dropped.
        """
        records = [record for record in self.records.values() if record.id.episode == episode]
        runs = {run_id} if run_id is not None else {record.id.run_id for record in records}
        self._discarded.update((run, episode) for run in runs)
        dropped = [record for record in records if isinstance(record, Pending) and record.id.run_id in runs]
        for record in dropped:
            self._finish(record)
        return [record.id for record in dropped]

    def give_up(self, id: ChunkId) -> None:
        """Drops a chunk whose next value will not be known any more."""
        record = self._record(id)
        if isinstance(record, Pending):
            self._finish(record)

    def pop_complete(self) -> list[Transition]:
        """Returns the complete transitions, ordered by sequence number. Each is returned once."""
        transitions = []
        for _, record in sorted(self.records.items()):
            transition = self._complete(record) if isinstance(record, Pending) else None
            if transition is not None:
                transitions.append(transition)
        self._forget()
        return transitions

    def pop_gaps(self) -> list[Gap]:
        """Returns the gaps found by `pop_complete` since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def pending(self) -> list[ChunkId]:
        """Returns the chunks that wait for an outcome or a next value, ordered by sequence number."""
        waiting = [record.id for record in self.records.values() if isinstance(record, Pending)]
        return sorted(waiting, key=lambda id: id.sequence_number)

    def _record(self, id: ChunkId) -> Pending | Finished:
        record = self.records.setdefault(id.sequence_number, Pending(id))
        if record.id != id:
            raise ValueError(f"sequence number {id.sequence_number} must belong to one chunk, got {record.id} and {id}")
        if isinstance(record, Pending) and (id.run_id, id.episode) in self._discarded:
            return self._finish(record)
        return record

    def _finish(self, record: Pending) -> Finished:
        """Drops everything large."""
        number = record.id.sequence_number
        self._bootstraps.pop(number, None)
        finished = self.records[number] = Finished(record.id, record.sampled)
        return finished

    def _complete(self, record: Pending) -> Transition | None:
        if record.outcome is None:
            return None
        if record.outcome.num_steps == 0:
            self._gaps.append(Gap(record.id, record.outcome.execution.message or "no step was executed"))
            self._finish(record)
            return None
        if record.chunk is None:
            return None
        following = self._next_value(record.id, record.chunk, record.outcome)
        if following is None:
            return None
        transition = Transition(
            id=record.id,
            chunk=record.chunk,
            outcome=record.outcome,
            next_value=following.value,
            next_observation=following.observation,
            discount=chunk_discount(self._config, record.outcome.num_steps),
            next_source=following.source,
        )
        self._finish(record)
        return transition

    def _next_value(self, id: ChunkId, chunk: SampledChunk, outcome: ChunkOutcome) -> NextValue | None:
        """Returns the value after a chunk, or None while it is not known."""
        if outcome.terminated:
            return NextValue(0.0)
        bootstrap = self._bootstraps.get(id.sequence_number)
        if bootstrap is not None:
            return bootstrap
        successor = self.records.get(id.sequence_number + 1)
        if outcome.truncated or outcome.cut_by_takeover or successor is None or successor.sampled is None:
            return None
        same_episode = (successor.id.run_id, successor.id.episode) == (id.run_id, id.episode)
        if not same_episode or successor.sampled.policy_version != chunk.policy_version:
            return None
        return NextValue(successor.sampled.value)

    def _forget(self) -> None:
        finished = [number for number, record in sorted(self.records.items()) if isinstance(record, Finished)]
        for number in finished[: max(0, len(finished) - MAX_FINISHED)]:
            del self.records[number]
