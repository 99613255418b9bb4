"""What an update aims at: advantages and returns of a rollout."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.gae import gae
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.update_metrics import RolloutMetrics


@flax.struct.dataclass
class Targets:
    """What the losses aim at: advantages [N], normalised where the configuration says so, and returns [N]."""

    advantages: jax.Array
    returns: jax.Array


def compute_targets(rollout: RolloutBatch, config: config_lib.PPOConfig) -> tuple[Targets, RolloutMetrics]:
    """GAE over the rollout and the figures that describe it."""
    advantages, returns = gae(
        rewards=rollout.rewards,
        discounts=rollout.discounts,
        values=rollout.values,
        next_values=rollout.next_values,
        terminated=rollout.terminated,
        segment_end=rollout.segment_end,
        gae_lambda=config.gae_lambda,
    )
    metrics = RolloutMetrics(
        explained_variance=1.0 - jnp.var(returns - rollout.values) / jnp.var(returns),
        value_mean=jnp.mean(rollout.values),
        return_mean=jnp.mean(returns),
        advantage_std=jnp.std(advantages),
        reward_mean=jnp.mean(rollout.rewards),
        reward_std=jnp.std(rollout.rewards),
        reward_min=jnp.min(rollout.rewards),
        reward_max=jnp.max(rollout.rewards),
        tokens_per_chunk=jnp.mean(jnp.sum(rollout.token_mask, axis=-1)),
        invalid_fraction=jnp.mean(~rollout.valid),
    )
    if config.normalize_advantages:
        advantages = losses.normalize(advantages, rollout.policy_mask)
    return Targets(advantages=advantages, returns=returns), metrics
