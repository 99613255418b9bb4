"""The data that crosses module borders, as frozen dataclasses of numpy arrays.

Here are shapes, units and meanings; no behaviour beyond checks of shape and finiteness, no JAX and no ROS. `core_jax`
registers what goes through `jax.jit` as pytrees; `nodes/wire/conversions.py` maps each type to its message.

Shape letters: B batch, N chunks, C cameras, h w pixels, H action horizon, D action dimensions, T action-token slots,
L prompt slots, S state dimensions.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult, Status

DEFAULT_SENDER = "robot_0"
"""Name of the robot in a run of one robot."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """What the robot's sensors say at one instant, before tokenisation.

    Attributes:
        images: uint8 [C, h, w, 3], RGB, already at the model's size; zeros where masked.
        image_mask: bool [C], false where a camera is missing.
        state: float32 [S], joint angles in rad and grippers normalised (0 closed, 1 open): left arm, right arm.
        prompt: the task in words.
    """

    images: np.ndarray
    image_mask: np.ndarray
    state: np.ndarray
    prompt: str


@dataclasses.dataclass(frozen=True)
class ModelObservation:
    """An observation exactly as the model sees it; may carry leading batch axes.

    Attributes:
        images: uint8 [..., C, h, w, 3], RGB; zeros where masked.
        image_mask: bool [..., C].
        prompt_tokens: int32 [..., L], prompt with the discretised state, padded with 0 on the right.
        prompt_mask: bool [..., L], true for valid prompt tokens, which are contiguous from slot 0.
        state: float32 [..., S], the state before normalisation; delta actions are relative to it.
    """

    images: np.ndarray
    image_mask: np.ndarray
    prompt_tokens: np.ndarray
    prompt_mask: np.ndarray
    state: np.ndarray


@dataclasses.dataclass(frozen=True)
class ObservationSource:
    """Where an observation that the model saw comes from.

    Attributes:
        stamp: ROS time of its oldest sensor reading, ns; 0 without ROS.
        prompt: the task in words, as given; empty where it is not recorded.
    """

    stamp: int = 0
    prompt: str = ""


NO_SOURCE = ObservationSource()
"""Where an observation comes from is not recorded."""


@dataclasses.dataclass(frozen=True)
class SampledChunk:
    """One action chunk as sampled, with all that training needs of it.

    Attributes:
        observation: what it was sampled from (no batch axis).
        action_tokens: int32 [T], model token ids, padded with 0.
        token_mask: bool [T], true where the token was sampled; forced tokens and pads are false.
        token_log_probs: float32 [T], nats, under the distribution that was sampled; 0 where the mask is false.
        value: V(observation), in units of reward.
        actions: float32 [H, D], absolute joint targets in rad, grippers normalised.
        policy_version: version of the weights that sampled it.
        temperature: sampling temperature, > 0.
        num_steps_asked: control steps of `actions` that are to be executed, 1..H; `ChunkOutcome.num_steps` were.
        entropy: mean entropy of the distributions that its tokens were sampled from, nats a token.
        valid: whether the tokens stand for a chunk within the action limit; where not, `actions` hold the pose.
        human_driven: whether a human drove it. Its tokens then encode what the human did, and were not sampled:
            log-probs and entropy are 0. `valid` then says whether there are tokens to imitate; `actions` are what was
            commanded.
        source: where the observation comes from.
        num_steps_committed: control steps of the chunk before that were still to be executed when this one was sampled;
            0 where the robot waits for each chunk.
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
        """Log-probability of the chunk in nats: the masked sum over its tokens."""
        return float(np.sum(np.where(self.token_mask, self.token_log_probs, 0.0)))

    @property
    def asked_actions(self) -> np.ndarray:
        """float32 [num_steps_asked, D], the part of `actions` that is to be executed."""
        return self.actions[: self.num_steps_asked]


@dataclasses.dataclass(frozen=True)
class ChunkId:
    """Where a chunk stands in a run: `sequence_number` counts all chunks of a run and sender without gaps.

    `sender` is the robot that executes it. `episode` counts its episodes in the run, `chunk` the chunks of the episode.
    """

    run_id: str
    sequence_number: int
    episode: int
    chunk: int
    sender: str = DEFAULT_SENDER


@dataclasses.dataclass(frozen=True)
class RewardTerm:
    """One named part of a reward, summed over the executed steps of a chunk; it enters as `weight * value`."""

    name: str
    value: float
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class ChunkOutcome:
    """How one chunk ended.

    Attributes:
        reward: sum of `weight * value` over `reward_terms`.
        reward_terms: all named terms.
        execution: what the robot did and counts. Of a chunk that does not count no step was executed, and its message
            says why.
        terminated: an end state of the task was reached; the future is worth nothing.
        truncated: the time limit was reached; the future counts but is not seen.
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
        """Executed control steps k, 0..H; fewer than asked where the chunk was cut."""
        return self.execution.num_steps

    @property
    def cut_by_takeover(self) -> bool:
        """Whether a takeover cut this chunk: the future counts, but the trace ends and the policy is not to blame."""
        return self.execution.status is Status.TAKEOVER and self.num_steps > 0

    @property
    def fault(self) -> str:
        """Why the safety layer refused or stopped the chunk; empty where it did not."""
        return self.execution.message if self.execution.status in (Status.REFUSED, Status.FAULT) else ""


@dataclasses.dataclass(frozen=True)
class Transition:
    """One chunk transition, complete in itself: whoever holds it can train on it.

    Attributes:
        id: where the chunk stands in the run.
        chunk: the chunk as sampled.
        outcome: what the robot did, and how the chunk ended.
        next_value: V(next observation) by the version that sampled the chunk; 0 where terminated.
        next_observation: present where a segment ends without termination (truncation, takeover, end of the rollout).
        discount: factor on `next_value` before termination: gamma, or gamma_step ** k.
        next_source: where the next observation comes from; says nothing where there is none.
    """

    id: ChunkId
    chunk: SampledChunk
    outcome: ChunkOutcome
    next_value: float
    next_observation: ModelObservation | None
    discount: float
    next_source: ObservationSource = NO_SOURCE
