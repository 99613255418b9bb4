"""What an update aims at: advantages and returns of a rollout."""

from __future__ import annotations

from typing import Any

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
    """What the losses aim at.

    Attributes:
        advantages: float32 [N], normalised where the configuration says so.
        returns: float32 [N], targets of the values.
        reference_log_probs: float32 [N, T], of the reference policy, nats; None where it has no weight in the loss.
    """

    advantages: jax.Array
    returns: jax.Array
    reference_log_probs: Any = None

    def take(self, indices: jax.Array) -> Targets:
        """The entries at `indices`, int [B]."""
        return jax.tree.map(lambda leaf: leaf[indices], self)


def compute_targets(rollout: RolloutBatch, config: config_lib.PPOConfig) -> tuple[Targets, RolloutMetrics]:
    """GAE over the rollout, and the figures of those chunks that no human drove."""
    advantages, returns = gae(
        rewards=rollout.rewards,
        discounts=rollout.discounts,
        values=rollout.values,
        next_values=rollout.next_values,
        terminated=rollout.terminated,
        segment_end=rollout.segment_end,
        gae_lambda=config.gae_lambda,
    )
    counted = ~rollout.human_mask
    metrics = RolloutMetrics(
        explained_variance=1.0 - _variance(returns - rollout.values, counted) / _variance(returns, counted),
        value_mean=losses.masked_mean(rollout.values, counted),
        return_mean=losses.masked_mean(returns, counted),
        advantage_std=jnp.sqrt(_variance(advantages, counted)),
        reward_mean=losses.masked_mean(rollout.rewards, counted),
        reward_std=jnp.sqrt(_variance(rollout.rewards, counted)),
        reward_min=jnp.min(rollout.rewards, where=counted, initial=jnp.inf),
        reward_max=jnp.max(rollout.rewards, where=counted, initial=-jnp.inf),
        tokens_per_chunk=losses.masked_mean(jnp.sum(rollout.token_mask, axis=-1), counted),
        invalid_fraction=losses.masked_mean(~rollout.valid, counted),
        human_fraction=jnp.mean(rollout.human_mask),
    )
    if config.normalize_advantages:
        advantages = losses.normalize(advantages, rollout.policy_mask)
    return Targets(advantages=advantages, returns=returns), metrics


def _variance(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Of the values under `mask`."""
    return losses.masked_mean(jnp.square(values - losses.masked_mean(values, mask)), mask)
