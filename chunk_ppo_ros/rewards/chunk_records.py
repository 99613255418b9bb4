"""Defines what the assembler of transitions keeps of a chunk, from its first message until it is forgotten."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.types import NO_SOURCE, ChunkId, ChunkOutcome, ModelObservation, ObservationSource, SampledChunk


@dataclasses.dataclass(frozen=True)
class NextValue:
    """Holds the value after a chunk, in units of reward.

    `observation` is what the model saw after the chunk. It is None where the value comes from the next chunk or from
    the end of the episode.
    """

    value: float
    observation: ModelObservation | None = None
    source: ObservationSource = NO_SOURCE


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Holds the value of a chunk, in units of reward, and the policy version that sampled it."""

    value: float
    policy_version: int


@dataclasses.dataclass
class Pending:
    """Holds what has arrived about a chunk whose transition is not complete. Either part may arrive first."""

    id: ChunkId
    chunk: SampledChunk | None = None
    outcome: ChunkOutcome | None = None

    @property
    def sampled(self) -> Sampled | None:
        """The facts that the chunk before it needs; None until the chunk has arrived."""
        return None if self.chunk is None else Sampled(self.chunk.value, self.chunk.policy_version)


@dataclasses.dataclass
class Finished:
    """Holds what is kept of a chunk that is sent or dropped: enough for its predecessor, and to know duplicates.

    `sampled` is None where an outcome alone has arrived so far.
    """

    id: ChunkId
    sampled: Sampled | None
