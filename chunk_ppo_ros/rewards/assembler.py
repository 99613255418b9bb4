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


@dataclasses.dataclass(frozen=True)
class _NextValue:
    """Holds the value after a chunk, in units of reward.

    `observation` is what the model saw after the chunk. It is None where the value comes from the next chunk or from
    the end of the episode.
    """

    value: float
    observation: ModelObservation | None = None
    source: ObservationSource = NO_SOURCE


@dataclasses.dataclass
class _Record:
    """Holds what has arrived about one sequence number.

    `value` and `policy_version` are those of the chunk. They are kept when the chunk itself is dropped.
    """

    id: ChunkId | None = None
    chunk: SampledChunk | None = None
    value: float | None = None
    policy_version: int | None = None
    outcome: ChunkOutcome | None = None
    bootstrap: _NextValue | None = None
    finished: bool = False

    def finish(self) -> None:
        """Drops everything large. The rest stays for a predecessor, and to recognize duplicates."""
        self.chunk, self.outcome, self.bootstrap, self.finished = None, None, None, True


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
        self.records: dict[int, _Record] = {}
        self._discarded: set[tuple[str, int]] = set()
        self._gaps: list[Gap] = []

    def add_chunk(self, id: ChunkId, chunk: SampledChunk) -> None:
        """Adds a chunk that was sampled.

        Raises:
            ValueError: where the sequence number belongs to another chunk.
        """
        record = self._record(id)
        if record.value is None:
            record.value, record.policy_version = chunk.value, chunk.policy_version
            record.chunk = None if record.finished else chunk

    def add_outcome(self, id: ChunkId, outcome: ChunkOutcome) -> None:
        """Adds the outcome of a chunk that has ended.

        Raises:
            ValueError: where the sequence number belongs to another chunk.
        """
        record = self._record(id)
        if record.outcome is None and not record.finished:
            record.outcome = outcome

    def amend_outcome(
        self, id: ChunkId, amend: Callable[[ChunkOutcome], ChunkOutcome]
    ) -> tuple[ChunkOutcome, ChunkOutcome] | None:
        """Changes the outcome of a chunk whose transition is not complete yet.

        Returns:
            The outcome before and after the change. None where the transition is complete, or the chunk has no outcome.
        """
        record = self.records.get(id.sequence_number)
        if record is None or record.id != id or record.outcome is None or record.outcome.num_steps == 0:
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
        record = self.records.setdefault(sequence_number, _Record())
        if record.bootstrap is None and not record.finished:
            record.bootstrap = _NextValue(value, observation, source)

    def discard_episode(self, episode: int, run_id: str | None = None) -> list[ChunkId]:
        """Drops the pending chunks of an episode, and ignores what arrives about the episode later.

        Args:
            episode: the number of the episode.
            run_id: the run of the episode. Without it, the episodes of this number are dropped in all runs that have
                chunks here.

        Returns:
            The chunks that were dropped.
        """
        records = [record for record in self.records.values() if record.id and record.id.episode == episode]
        runs = {run_id} if run_id is not None else {record.id.run_id for record in records if record.id}
        self._discarded.update((run, episode) for run in runs)
        dropped = [record for record in records if not record.finished and record.id and record.id.run_id in runs]
        for record in dropped:
            record.finish()
        return [record.id for record in dropped if record.id]

    def pop_complete(self) -> list[Transition]:
        """Returns the complete transitions, ordered by sequence number. Each is returned once."""
        transitions = []
        for sequence_number in sorted(self.records):
            transition = self._complete(sequence_number, self.records[sequence_number])
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
        waiting = [record.id for record in self.records.values() if record.id and not record.finished]
        return sorted(waiting, key=lambda id: id.sequence_number)

    def _record(self, id: ChunkId) -> _Record:
        record = self.records.setdefault(id.sequence_number, _Record())
        if record.id is None:
            record.id = id
        if record.id != id:
            raise ValueError(f"sequence number {id.sequence_number} must belong to one chunk, got {record.id} and {id}")
        if (id.run_id, id.episode) in self._discarded:
            record.finish()
        return record

    def _complete(self, sequence_number: int, record: _Record) -> Transition | None:
        if record.finished or record.id is None or record.outcome is None:
            return None
        if record.outcome.num_steps == 0:
            self._gaps.append(Gap(record.id, record.outcome.execution.message or "no step was executed"))
            record.finish()
            return None
        if record.chunk is None:
            return None
        successor = self.records.get(sequence_number + 1)
        following = self._next_value(record, record.id, record.outcome, successor)
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
        record.finish()
        return transition

    @staticmethod
    def _next_value(
        record: _Record, id: ChunkId, outcome: ChunkOutcome, successor: _Record | None
    ) -> _NextValue | None:
        """Returns the value after a chunk, or None while it is not known."""
        if outcome.terminated:
            return _NextValue(0.0)
        if record.bootstrap is not None:
            return record.bootstrap
        cut = outcome.truncated or outcome.cut_by_takeover
        if cut or successor is None or successor.id is None:
            return None
        same_episode = (successor.id.run_id, successor.id.episode) == (id.run_id, id.episode)
        if not same_episode or successor.value is None or successor.policy_version != record.policy_version:
            return None
        return _NextValue(successor.value)

    def _forget(self) -> None:
        finished = [number for number, record in sorted(self.records.items()) if record.finished]
        for number in finished[: max(0, len(finished) - MAX_FINISHED)]:
            del self.records[number]
