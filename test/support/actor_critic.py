"""Makes a policy of two action dimensions with a decoding constraint by hand, observations for it, and a rollout."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, SampledChunk, Transition
from chunk_ppo_ros.core_jax import pytrees  # noqa: F401  (ModelObservation goes through jit)
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from chunk_ppo_ros.rl.rollout import stack_transitions

CONFIG = Pi0FASTActorCriticConfig(
    action_dim=2,
    action_horizon=6,
    paligemma_variant="tiny",
    image_size=32,
    patch_size=16,
    max_token_len=22,
    max_action_tokens=12,
    vocab_size=128,
    value_head_hidden_dim=16,
)
NUM_FAST = 24
TOKEN_IDS = TokenIds(vocab_size=128, num_fast=NUM_FAST, skip=8, action_prefix=(5, 6), bar=7, end=1)


def make_constraint(config: Pi0FASTActorCriticConfig, num_fast: int = NUM_FAST) -> FastConstraint:
    """Returns a constraint.

    FAST ids 0..n-9 complete 1 to 3 coefficients in turn. Four more ids leave a byte pending, and the last four complete
    it.
    """
    total, plain = config.action_horizon * config.action_dim, num_fast - 8
    ids = np.arange(num_fast)
    never = total + 1
    whole = np.where(ids < plain, ids % 3 + 1, np.where(ids < plain + 4, 0, never))
    closing = np.where(ids < plain + 4, never, 1)
    next_pending = np.stack([(ids >= plain) & (ids < plain + 4), np.zeros(num_fast)]).astype(np.int32)
    return FastConstraint.from_moves(
        np.stack([whole, closing]).astype(np.int32), next_pending, max_tokens=config.max_action_tokens - 2, total=total
    )


def make_policy(**changes: Any) -> Pi0FASTActorCritic:
    config = dataclasses.replace(CONFIG, **changes)
    return Pi0FASTActorCritic(config, TOKEN_IDS, make_constraint(config))


def make_observation(config: Pi0FASTActorCriticConfig, batch: int, seed: int = 0) -> ModelObservation:
    """Returns random images and prompts of different lengths. The last camera of every second row is masked."""
    random = np.random.default_rng(seed)
    cameras, slots, size = len(config.cameras), config.max_prompt_len, config.image_size
    prompt_mask = np.arange(slots) < random.integers(2, slots + 1, (batch, 1))
    image_mask = np.ones((batch, cameras), bool)
    image_mask[1::2, -1] = False
    images = random.integers(0, 256, (batch, cameras, size, size, 3), dtype=np.uint8)
    return ModelObservation(
        images=images * image_mask[..., None, None, None],
        image_mask=image_mask,
        prompt_tokens=np.where(prompt_mask, random.integers(2, 90, (batch, slots)), 0).astype(np.int32),
        prompt_mask=prompt_mask,
        state=np.zeros((batch, 14), np.float32),
    )


def rollout(observation: ModelObservation, sampled: Sample) -> Any:
    """Returns each sampled chunk as an episode of its own, whose reward is its number."""
    transitions = []
    for row in range(len(sampled.value)):
        chunk = SampledChunk(
            observation=jax.tree.map(lambda leaf, row=row: leaf[row], observation),
            action_tokens=np.asarray(sampled.action_tokens[row]),
            token_mask=np.asarray(sampled.token_mask[row]),
            token_log_probs=np.asarray(sampled.token_log_probs[row]),
            value=float(sampled.value[row]),
            actions=np.zeros((CONFIG.action_horizon, CONFIG.action_dim), np.float32),
            policy_version=0,
            temperature=1.0,
            num_steps_asked=CONFIG.action_horizon,
            entropy=0.0,
        )
        outcome = ChunkOutcome(
            float(row), (), ExecutionResult.whole(CONFIG.action_horizon), terminated=True, truncated=False
        )
        transitions.append(Transition(ChunkId("run", row, row, 0), chunk, outcome, 0.0, None, 0.99))
    return stack_transitions(transitions)
