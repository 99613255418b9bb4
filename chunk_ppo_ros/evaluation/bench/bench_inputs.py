"""Makes random inputs in the right shapes for measurements of time, where the content does not matter."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import (
    ChunkId,
    ChunkOutcome,
    ModelObservation,
    Observation,
    RewardTerm,
    SampledChunk,
    Transition,
)
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.tasks.reach import ReachTask

PROMPT = ReachTask.prompt
"""The prompt of the task that the tokenizers are fitted on."""

RUN_ID = "bench"

_POSE_NOISE = 0.02  # Standard deviation, rad for joints and normalized opening for grippers.


@dataclasses.dataclass(frozen=True)
class ImageSize:
    """The size of square images and of the square patches that the image tower cuts them into, pixels."""

    pixels: int
    patch: int


def random_state(random: np.random.Generator) -> np.ndarray:
    """Returns joint angles near the start pose, float32 [14]."""
    return (aloha.START_POSE + _POSE_NOISE * random.standard_normal(aloha.START_POSE.shape)).astype(np.float32)


def random_image(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns an image of noise, uint8 [height, width, 3]."""
    return random.integers(256, size=(height, width, 3), dtype=np.uint8)


def random_observation(model: Pi0FASTActorCriticConfig, random: np.random.Generator) -> Observation:
    """Returns an observation near the start pose, with images of noise from all cameras."""
    images = [random_image(random, model.image_size, model.image_size) for _ in model.cameras]
    return Observation(np.stack(images), np.ones(len(images), bool), random_state(random), PROMPT)


def random_chunk(model: Pi0FASTActorCriticConfig, random: np.random.Generator) -> SampledChunk:
    """Returns a chunk of random content with the right shapes. It can be sent, but not trained on."""
    observation = random_observation(model, random)
    return SampledChunk(
        observation=ModelObservation(
            images=observation.images,
            image_mask=observation.image_mask,
            prompt_tokens=random.integers(1, 200, size=model.max_prompt_len, dtype=np.int32),
            prompt_mask=np.ones(model.max_prompt_len, bool),
            state=observation.state,
        ),
        action_tokens=random.integers(1, 200, size=model.max_action_tokens, dtype=np.int32),
        token_mask=np.ones(model.max_action_tokens, bool),
        token_log_probs=-random.random(model.max_action_tokens, np.float32),
        value=0.5,
        actions=np.tile(observation.state, (model.action_horizon, 1)),
        policy_version=0,
        temperature=model.temperature,
        num_steps_asked=model.action_horizon,
        entropy=1.0,
    )


def transition_of(chunk: SampledChunk, sequence_number: int, random: np.random.Generator) -> Transition:
    """Returns the transition of a chunk that was executed as a whole and ended its episode, with a random reward."""
    reward = float(np.float32(random.random()))
    outcome = ChunkOutcome(
        reward=reward,
        reward_terms=(RewardTerm("task/bench", reward),),
        execution=ExecutionResult.whole(len(chunk.actions)),
        terminated=True,
        truncated=False,
    )
    return Transition(ChunkId(RUN_ID, sequence_number, sequence_number, 0), chunk, outcome, 0.0, None, 0.99)
