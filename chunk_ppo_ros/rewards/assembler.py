"""Assembly of transitions from chunks, outcomes and bootstraps, in any order of arrival.

What is decided here is the next value of each chunk. What a chunk's outcome is, is decided before (in the graph by
reward_node's referee).
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
"""Finished chunks that are remembered, so that duplicates are known and a late predecessor finds its next value."""


@dataclasses.dataclass(frozen=True)
class Gap:
    """A chunk that makes no transition, and why."""

    id: ChunkId
    reason: str


@dataclasses.dataclass(frozen=True)
class _NextValue:
    """What follows a chunk; `observation` is None where the next chunk or the end of the episode says its value."""

    value: float
    observation: ModelObservation | None = None
    source: ObservationSource = NO_SOURCE


@dataclasses.dataclass
class _Record:
    """What has arrived about one sequence number. `value` and `policy_version` outlive the chunk itself."""

    id: ChunkId | None = None
    chunk: SampledChunk | None = None
    value: float | None = None
    policy_version: int | None = None
    outcome: ChunkOutcome | None = None
    bootstrap: _NextValue | None = None
    finished: bool = False

    def finish(self) -> None:
        """Lets go of everything large; the rest stays for a predecessor and to know duplicates by."""
        self.chunk, self.outcome, self.bootstrap, self.finished = None, None, None, True


class TransitionAssembler:
    """Joins what belongs to one chunk and finds its next value.

    A transition is complete when its chunk and outcome are there and its next value is known:
      - terminated: 0;
      - cut (truncated, by a takeover, at the end of the rollout): the value of a bootstrap, whose observation goes
        along;
      - else: the value of the next chunk of the same run and episode by the same policy version, or of a bootstrap.
    A chunk of which no step was executed is a gap instead. Duplicates of what has arrived are ignored.
    """

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self.records: dict[int, _Record] = {}
        self._discarded: set[tuple[str, int]] = set()
        self._gaps: list[Gap] = []

    def add_chunk(self, id: ChunkId, chunk: SampledChunk) -> None:
        """A chunk was sampled.

        Raises:
            ValueError: where the sequence number belongs to another chunk.
        """
        record = self._record(id)
        if record.value is None:
            record.value, record.policy_version = chunk.value, chunk.policy_version
            record.chunk = None if record.finished else chunk

    def add_outcome(self, id: ChunkId, outcome: ChunkOutcome) -> None:
        """A chunk has ended.

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
            The outcome before and after; None where it is too late or there is nothing to amend.
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
        """The segment ended with this chunk.

        Args:
            sequence_number: of the chunk.
            observation: what the model saw after it.
            value: V(observation) by the chunk's policy version, in units of reward.
            source: where the observation comes from.
        """
        record = self.records.setdefault(sequence_number, _Record())
        if record.bootstrap is None and not record.finished:
            record.bootstrap = _NextValue(value, observation, source)

    def discard_episode(self, episode: int, run_id: str | None = None) -> list[ChunkId]:
        """Drops what is pending of an episode and ignores what still comes.

        Args:
            episode: its number.
            run_id: its run; the run of the chunks at hand where not given.

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
        """Returns the transitions that are complete, by sequence number; each is returned once."""
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
        """Chunks that wait for an outcome or a next value, by sequence number."""
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
        """Returns what follows a chunk, None while that is not known."""
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
