"""Checks that a transition fits the shapes of a run, and makes a rollout of zeros. Nothing here imports JAX."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, SampledChunk, Transition


def check_transition(transition: Transition, model: Pi0FASTActorCriticConfig) -> None:
    """Refuses a transition that does not fit a model's shapes, tokens or temperature.

    Raises:
        ValueError: when it does not fit. The text names the field, its value and what it must be.
    """
    chunk = transition.chunk
    size = model.image_size
    expected = {
        "observation.images": (chunk.observation.images, (len(model.cameras), size, size, 3)),
        "observation.image_mask": (chunk.observation.image_mask, (len(model.cameras),)),
        "observation.prompt_tokens": (chunk.observation.prompt_tokens, (model.max_prompt_len,)),
        "observation.prompt_mask": (chunk.observation.prompt_mask, (model.max_prompt_len,)),
        "observation.state": (chunk.observation.state, (model.action_dim,)),
        "action_tokens": (chunk.action_tokens, (model.max_action_tokens,)),
        "token_mask": (chunk.token_mask, (model.max_action_tokens,)),
        "token_log_probs": (chunk.token_log_probs, (model.max_action_tokens,)),
        "actions": (chunk.actions, (model.action_horizon, model.action_dim)),
    }
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}; both ends need one configuration")
    numbers: list[np.ndarray | float] = [chunk.token_log_probs, chunk.actions, transition.next_value, chunk.value]
    if not all(np.all(np.isfinite(number)) for number in [*numbers, transition.outcome.reward]):
        raise ValueError("log-probs, actions, values and reward must be finite, got NaN or infinity")
    if chunk.temperature != np.float32(model.temperature):
        raise ValueError(f"temperature must be {model.temperature}, got {chunk.temperature}; use one for both ends")
    if not 1 <= chunk.num_steps_asked <= model.action_horizon:
        raise ValueError(f"num_steps_asked must be within 1..{model.action_horizon}, got {chunk.num_steps_asked}")
    if not 1 <= transition.outcome.num_steps <= chunk.num_steps_asked:
        asked = f"1..{chunk.num_steps_asked} (num_steps_asked)"
        raise ValueError(f"num_steps must be within {asked}, got {transition.outcome.num_steps}")


def blank_rollout(config: TrainConfig) -> list[Transition]:
    """Returns transitions of zeros in the shapes of the configuration. Only their shapes matter."""
    model = config.model
    observation = ModelObservation(
        images=np.zeros((len(model.cameras), model.image_size, model.image_size, 3), np.uint8),
        image_mask=np.ones(len(model.cameras), bool),
        prompt_tokens=np.zeros(model.max_prompt_len, np.int32),
        prompt_mask=np.ones(model.max_prompt_len, bool),
        state=np.zeros(model.action_dim, np.float32),
    )
    chunk = SampledChunk(
        observation=observation,
        action_tokens=np.zeros(model.max_action_tokens, np.int32),
        token_mask=np.zeros(model.max_action_tokens, bool),
        token_log_probs=np.zeros(model.max_action_tokens, np.float32),
        value=0.0,
        actions=np.zeros((model.action_horizon, model.action_dim), np.float32),
        policy_version=0,
        temperature=model.temperature,
        num_steps_asked=model.action_horizon,
        entropy=0.0,
    )
    outcome = ChunkOutcome(
        reward=0.0,
        reward_terms=(),
        execution=ExecutionResult.whole(model.action_horizon),
        terminated=True,
        truncated=False,
    )
    return [
        Transition(ChunkId("", number, number, 0), chunk, outcome, 0.0, None, config.ppo.gamma)
        for number in range(config.ppo.num_chunks_per_update)
    ]
