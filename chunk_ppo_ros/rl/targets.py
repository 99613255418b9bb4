"""Computes the advantages and returns of a rollout, to which an update fits the policy and the values."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import AnyArray, Array
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.gae import gae
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.update_metrics import ScalarMetrics, scalar


@flax.struct.dataclass
class Targets:
    """The numbers of N chunks to which the losses fit the policy and the values.

    Attributes:
        advantages: advantage of each chunk, normalized where the configuration says so.
        returns: targets of the values, in units of reward.
        reference_log_probs: log-probability of each token under the reference policy, nats; None where the reference
            has no weight in the loss.
    """

    advantages: Float[Array, "N"]
    returns: Float[Array, "N"]
    reference_log_probs: Float[Array, "N T"] | None = None

    def take(self, indices: Int[AnyArray, "B"]) -> Targets:
        """Returns the targets of the chunks at `indices`."""
        return jax.tree.map(lambda leaf: leaf[indices], self)

    def loss_inputs(self, rollout: RolloutBatch) -> losses.LossInputs:
        """Returns what the loss reads beside the scores, from these targets and the rollout of the same chunks."""
        return losses.LossInputs(
            old_log_probs=rollout.token_log_probs,
            reference_log_probs=self.reference_log_probs,
            token_mask=rollout.token_mask,
            policy_mask=rollout.policy_mask,
            human_mask=rollout.human_mask,
            advantages=self.advantages,
            returns=self.returns,
        )


def compute_targets(rollout: RolloutBatch, config: config_lib.PPOConfig) -> tuple[Targets, ScalarMetrics]:
    """Returns the targets by GAE over the rollout, and the metrics of those chunks that no human drove.

    Args:
        rollout: N chunks.
        config: PPO settings, of which `gae_lambda` and `normalize_advantages` are read.
    """
    advantages, returns = gae(
        rewards=rollout.rewards,
        discounts=rollout.discounts,
        values=rollout.values,
        next_values=rollout.next_values,
        terminated=rollout.terminated,
        segment_end=rollout.segment_end,
        gae_lambda=config.gae_lambda,
    )
    metrics = _rollout_metrics(rollout, advantages=advantages, returns=returns)
    if config.normalize_advantages:
        advantages = losses.normalize(advantages, rollout.policy_mask)
    return Targets(advantages=advantages, returns=returns), metrics


def _rollout_metrics(
    rollout: RolloutBatch, *, advantages: Float[Array, "N"], returns: Float[Array, "N"]
) -> ScalarMetrics:
    """Returns the metrics of a rollout before training, without the chunks that humans drove."""
    counted = ~rollout.human_mask
    values = {
        "value/explained_variance": 1.0 - _variance(returns - rollout.values, counted) / _variance(returns, counted),
        "value/mean": losses.masked_mean(rollout.values, counted),
        "return/mean": losses.masked_mean(returns, counted),
        "advantage/std": jnp.sqrt(_variance(advantages, counted)),
        "reward/chunk_mean": losses.masked_mean(rollout.rewards, counted),
        "reward/chunk_std": jnp.sqrt(_variance(rollout.rewards, counted)),
        "reward/chunk_min": jnp.min(rollout.rewards, where=counted, initial=jnp.inf),
        "reward/chunk_max": jnp.max(rollout.rewards, where=counted, initial=-jnp.inf),
        "tokens/mean_per_chunk": losses.masked_mean(jnp.sum(rollout.token_mask, axis=-1), counted),
        "decoding/invalid_fraction": losses.masked_mean(~rollout.valid, counted),
        "rollout/human_fraction": jnp.mean(rollout.human_mask),
    }
    return ScalarMetrics({name: scalar(value) for name, value in values.items()})


def chunk_value_metrics(
    chunk_values: Float[AnyArray, "N"] | None, returns: Float[AnyArray, "N"], *, human_mask: Bool[AnyArray, "N"]
) -> Metrics:
    """Returns metrics of how well V(s, a) explains the returns before an update; no metrics without V(s, a).

    Args:
        chunk_values: V(s, a), in units of reward; None where the policy has none.
        returns: targets of the values, in units of reward.
        human_mask: true for chunks that a human drove, which do not count.
    """
    if chunk_values is None:
        return Metrics()
    values, returns = chunk_values[~human_mask], returns[~human_mask]
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = float(1.0 - np.var(returns - values) / np.var(returns))
    return Metrics({"value/chunk_explained_variance": explained})


def _variance(values: Float[AnyArray, "N"], mask: Bool[AnyArray, "N"]) -> Float[Array, ""]:
    """Returns the variance of the values under `mask`."""
    return losses.masked_mean(jnp.square(values - losses.masked_mean(values, mask)), mask)
