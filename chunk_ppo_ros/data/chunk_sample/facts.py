"""The numbers of one chunk that the page of a run shows, and the chunks of one episode with their images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.types import Transition

MAX_CHUNKS = 16
"""The largest number of chunks of an episode whose images are kept."""
MAX_PIXELS = 128
"""The largest height and width of an image that is kept, pixels."""


@dataclasses.dataclass(frozen=True)
class ChunkFacts:
    """The numbers of one chunk.

    Attributes:
        sequence_number: number of the chunk in the run of its sender.
        episode: number of the episode within the run.
        chunk: number of the chunk within the episode.
        policy_version: version of the weights that sampled it.
        value: V(observation), in units of reward.
        reward: reward of the chunk.
        log_prob: log-probability of the chunk, nats; 0 where a human drove it.
        entropy: mean entropy of the distributions of its tokens, nats per token.
        num_steps: executed control steps.
        num_clamped_steps: control steps in which the safety layer limited a target.
        terminated: whether an end state of the task was reached.
        truncated: whether the time limit was reached.
        success: whether the task was solved within this chunk.
        human_driven: whether a human drove it.
    """

    sequence_number: int
    episode: int
    chunk: int
    policy_version: int
    value: float
    reward: float
    log_prob: float
    entropy: float
    num_steps: int
    num_clamped_steps: int
    terminated: bool
    truncated: bool
    success: bool
    human_driven: bool

    @classmethod
    def of(cls, transition: Transition) -> ChunkFacts:
        """Returns the numbers of a transition."""
        chunk, outcome = transition.chunk, transition.outcome
        return cls(
            sequence_number=transition.id.sequence_number,
            episode=transition.id.episode,
            chunk=transition.id.chunk,
            policy_version=chunk.policy_version,
            value=float(chunk.value),
            reward=float(outcome.reward),
            log_prob=chunk.log_prob,
            entropy=float(chunk.entropy),
            num_steps=outcome.num_steps,
            num_clamped_steps=outcome.execution.num_clamped_steps,
            terminated=outcome.terminated,
            truncated=outcome.truncated,
            success=outcome.success,
            human_driven=chunk.human_driven,
        )

    @property
    def ends_episode(self) -> bool:
        """Whether the episode ended by the task or by its time limit."""
        return self.terminated or self.truncated


@dataclasses.dataclass(frozen=True)
class EpisodeStrip:
    """The chunks of a finished episode, or some of them where it is long.

    Attributes:
        prompt: the task in words; empty where it is not recorded.
        num_chunks: number of all chunks of the episode.
        chunks: the chunks that are shown, at most `MAX_CHUNKS`, the last one among them.
        images: uint8 [N, C, h, w, 3], what the policy saw at the start of each of them, RGB.
    """

    prompt: str
    num_chunks: int
    chunks: tuple[ChunkFacts, ...]
    images: np.ndarray

    @property
    def success(self) -> bool:
        """Whether the task was solved."""
        return self.chunks[-1].success


@dataclasses.dataclass(frozen=True)
class ChunkSample:
    """What is known of single chunks of a run.

    Attributes:
        chunks: recent chunks, in order.
        success: the newest episode in which the task was solved, or None where none was found.
        failure: the newest episode in which it was not, or None where none was found.
        note: what the sample covers, in a sentence.
    """

    chunks: tuple[ChunkFacts, ...]
    success: EpisodeStrip | None
    failure: EpisodeStrip | None
    note: str


def shown(count: int) -> list[int]:
    """Returns the indices of the chunks of an episode that are shown: evenly spaced, with the first and the last."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, MAX_CHUNKS))})


def small(images: np.ndarray) -> np.ndarray:
    """Returns images [..., h, w, 3] of at most `MAX_PIXELS` pixels a side. Whole rows and columns are left out."""
    stride = -(-max(images.shape[-3:-1]) // MAX_PIXELS)
    return images[..., ::stride, ::stride, :]


def strip_of(episode: Sequence[Transition]) -> EpisodeStrip:
    """Returns the strip of an episode.

    Args:
        episode: its transitions in order, at least one.
    """
    indices = shown(len(episode))
    return EpisodeStrip(
        prompt=episode[-1].chunk.source.prompt,
        num_chunks=len(episode),
        chunks=tuple(ChunkFacts.of(episode[index]) for index in indices),
        images=np.stack([small(np.asarray(episode[index].chunk.observation.images)) for index in indices]),
    )
