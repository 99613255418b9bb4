"""The data types that modules exchange, as frozen dataclasses of numpy arrays.

This module says their shapes, units and meanings. It has no behavior, no JAX and no ROS. `core_jax` registers the types
that go through `jax.jit` as pytrees. `nodes/wire/conversions.py` converts each type to its message and back.

Shape letters: B batch, N chunks, C cameras, h w pixels, H action horizon, D action dimensions, T action-token slots,
L prompt slots, S state dimensions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult, Status

DEFAULT_SENDER = "robot_0"
"""The name of the robot in a run with a single robot."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """The readings of the robot's sensors at one instant, before tokenization.

    Attributes:
        images: uint8 [C, h, w, 3], RGB, already at the model's size; zeros where masked.
        image_mask: bool [C], false where a camera is missing.
        state: float32 [S], joint angles in rad and grippers normalized (0 closed, 1 open): left arm, right arm.
        prompt: the task in words.
    """

    images: np.ndarray
    image_mask: np.ndarray
    state: np.ndarray
    prompt: str


@dataclasses.dataclass(frozen=True)
class ModelObservation:
    """An observation exactly as the model sees it. It may have leading batch axes.

    Attributes:
        images: uint8 [..., C, h, w, 3], RGB; zeros where masked.
        image_mask: bool [..., C], false where a camera is missing.
        prompt_tokens: int32 [..., L], prompt with the discretized state, padded with 0 on the right.
        prompt_mask: bool [..., L], true for valid prompt tokens, which are contiguous from slot 0.
        state: float32 [..., S], the state before normalization; delta actions are relative to it.
    """

    images: np.ndarray
    image_mask: np.ndarray
    prompt_tokens: np.ndarray
    prompt_mask: np.ndarray
    state: np.ndarray


@dataclasses.dataclass(frozen=True)
class ObservationSource:
    """The origin of an observation that the model saw.

    Attributes:
        stamp: ROS time of its oldest sensor reading, ns; 0 without ROS.
        prompt: the task in words, before tokenization; empty where it is not recorded.
    """

    stamp: int = 0
    prompt: str = ""


NO_SOURCE = ObservationSource()
"""The source of an observation whose origin was not recorded."""


@dataclasses.dataclass(frozen=True)
class SampledChunk:
    """One action chunk as the policy sampled it, with everything that training needs to know about it.

    Attributes:
        observation: the observation that it was sampled from (no batch axis).
        action_tokens: int32 [T], model token ids, padded with 0.
        token_mask: bool [T], true where the token was sampled; forced tokens and pads are false.
        token_log_probs: float32 [T], nats, under the distribution that the token was drawn from; 0 where the mask is
            false.
        value: V(observation), in units of reward.
        actions: float32 [H, D], absolute joint targets in rad, grippers normalized.
        policy_version: version of the weights that sampled it.
        temperature: sampling temperature, > 0.
        num_steps_asked: control steps of `actions` that the robot is to execute, 1..H. `ChunkOutcome.num_steps` says
            how many it did execute.
        entropy: mean entropy of the distributions that its tokens were sampled from, nats per token.
        valid: whether the tokens stand for a chunk within the action limit. Where false, `actions` hold the pose.
        human_driven: whether a human drove the chunk. Its tokens then encode what the human did. They were not sampled,
            so log-probs and entropy are 0. `valid` then says whether there are tokens to imitate, and `actions` are
            the commands that were sent.
        source: origin of the observation.
        num_steps_committed: control steps of the previous chunk that the robot still had to execute when this chunk was
            sampled; 0 where the robot waits for each chunk.
    """

    observation: ModelObservation
    action_tokens: np.ndarray
    token_mask: np.ndarray
    token_log_probs: np.ndarray
    value: float
    actions: np.ndarray
    policy_version: int
    temperature: float
    num_steps_asked: int
    entropy: float
    valid: bool = True
    human_driven: bool = False
    source: ObservationSource = NO_SOURCE
    num_steps_committed: int = 0

    @property
    def log_prob(self) -> float:
        """The log-probability of the chunk in nats, which is the masked sum over its tokens."""
        return float(np.sum(np.where(self.token_mask, self.token_log_probs, 0.0)))

    @property
    def asked_actions(self) -> np.ndarray:
        """The part of `actions` that the robot is to execute, float32 [num_steps_asked, D]."""
        return self.actions[: self.num_steps_asked]


@dataclasses.dataclass(frozen=True)
class ChunkId:
    """The place of a chunk in a run.

    Attributes:
        run_id: identity of the run.
        sequence_number: number of the chunk; it counts all chunks of this run and sender without gaps.
        episode: number of the episode; it counts the sender's episodes in the run.
        chunk: number of the chunk within its episode.
        sender: name of the robot that executes the chunk.
    """

    run_id: str
    sequence_number: int
    episode: int
    chunk: int
    sender: str = DEFAULT_SENDER

    @property
    def key(self) -> tuple[str, int]:
        """The sender and the sequence number, which identify the chunk within its run."""
        return self.sender, self.sequence_number


@dataclasses.dataclass(frozen=True)
class RewardTerm:
    """One named part of a reward, summed over the executed steps of a chunk. The reward counts `weight * value`."""

    name: str
    value: float
    weight: float = 1.0


def total_reward(terms: Iterable[RewardTerm]) -> float:
    """Returns the reward, which is the sum of `weight * value` over the terms."""
    return math.fsum(term.weight * term.value for term in terms)


@dataclasses.dataclass(frozen=True)
class ChunkOutcome:
    """The end of one chunk and its rewards.

    Attributes:
        reward: sum of `weight * value` over `reward_terms`.
        reward_terms: all named terms of the reward.
        execution: what the robot did that counts. A chunk that does not count has no executed step, and the message
            says why.
        terminated: whether an end state of the task was reached. The future is then worth nothing.
        truncated: whether the time limit was reached. The future then counts, but nobody sees it.
        success: whether the task was solved within this chunk.
    """

    reward: float
    reward_terms: tuple[RewardTerm, ...]
    execution: ExecutionResult
    terminated: bool
    truncated: bool
    success: bool = False

    @classmethod
    def without_steps(cls, execution: ExecutionResult) -> ChunkOutcome:
        """Returns the outcome of a chunk that does not count."""
        return cls(reward=0.0, reward_terms=(), execution=execution, terminated=False, truncated=False)

    @property
    def num_steps(self) -> int:
        """The number of executed control steps k, 0..H. It is lower than requested where the chunk was cut."""
        return self.execution.num_steps

    @property
    def cut_by_takeover(self) -> bool:
        """Whether a human's takeover cut this chunk. The future still counts, but the trace of GAE ends here."""
        return self.execution.status is Status.TAKEOVER and self.num_steps > 0

    @property
    def fault(self) -> str:
        """The reason why the safety layer refused or stopped the chunk; empty where it did neither."""
        return self.execution.message if self.execution.status in (Status.REFUSED, Status.FAULT) else ""


@dataclasses.dataclass(frozen=True)
class Transition:
    """One transition over a whole chunk. It holds everything that training on it needs.

    Attributes:
        id: place of the chunk in the run.
        chunk: the chunk as the policy sampled it.
        outcome: what the robot did, and how the chunk ended.
        next_value: V(next observation) by the version that sampled the chunk; 0 where terminated.
        next_observation: the observation after the chunk, where a segment ends without termination (truncation,
            takeover, end of the rollout); None elsewhere.
        discount: factor on `next_value` where the chunk is not terminated: gamma, or gamma_step ** k.
        next_source: origin of the next observation; `NO_SOURCE` where there is none.
    """

    id: ChunkId
    chunk: SampledChunk
    outcome: ChunkOutcome
    next_value: float
    next_observation: ModelObservation | None
    discount: float
    next_source: ObservationSource = NO_SOURCE
