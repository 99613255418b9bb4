"""The PPO loss on chunks: one chunk is one action with one log-probability, ratio and advantage.

A chunk in which a human took over (`policy_mask` false) counts in the value loss only.
"""

from __future__ import annotations

from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros import types
from chunk_ppo_ros.value_support import ValueEstimate


class Evaluation(Protocol):
    """What the current policy says about B sampled chunks."""

    @property
    def token_log_probs(self) -> Any:
        """float32 [B, T], nats; only entries under the token mask are read."""

    @property
    def entropy(self) -> Any:
        """float32 [B, T], of each token's distribution, nats; only entries under the token mask are read."""

    @property
    def value(self) -> ValueEstimate:
        """V(s), [B]."""

    @property
    def chunk_value(self) -> ValueEstimate | None:
        """V(s, a), [B]; None where the policy has none."""


class Evaluate(Protocol):
    """Scores sampled tokens under `params`; it must be traceable by `jax.jit` and free of randomness."""

    def __call__(
        self,
        params: Any,
        observation: types.ModelObservation,
        action_tokens: Any,
        token_mask: Any,
        *,
        temperature: Any,
        actions: Any,
    ) -> Evaluation:
        """Evaluates B chunks.

        Args:
            params: the policy's.
            observation: leading axis [B].
            action_tokens: int32 [B, T].
            token_mask: bool [B, T].
            temperature: float32 [].
            actions: float32 [B, H, D], normalised, for V(s, a); or None.
        """


@flax.struct.dataclass
class LossMetrics:
    """Scalars of one minibatch. Those of the policy are over its `num_policy_chunks` unmasked chunks.

    Attributes:
        policy: clipped surrogate loss, in units of the advantage.
        value: loss of V(s): Huber's, in squared units of reward where it is quadratic, or a cross-entropy in nats.
        chunk_value: the same of V(s, a); None where the policy has none.
        clipped_returns: part of the returns that are beyond the range of the value's histogram.
        entropy: mean entropy of a sampled token, nats.
        ratio_mean: mean of new over old chunk probability.
        ratio_min: smallest ratio, +inf without policy chunks.
        ratio_max: largest ratio, -inf without policy chunks.
        clip_fraction: part of the chunks whose ratio is outside 1 - clip_coef .. 1 + clip_coef.
        approx_kl: estimate of KL(old || new) of a chunk, nats.
        num_policy_chunks: chunks that count in the policy loss.
    """

    policy: jax.Array
    value: jax.Array
    chunk_value: jax.Array | None
    clipped_returns: jax.Array
    entropy: jax.Array
    ratio_mean: jax.Array
    ratio_min: jax.Array
    ratio_max: jax.Array
    clip_fraction: jax.Array
    approx_kl: jax.Array
    num_policy_chunks: jax.Array


def chunk_log_ratio(new_log_probs: jax.Array, old_log_probs: jax.Array, token_mask: jax.Array) -> jax.Array:
    """log(new / old) probability of each chunk, nats [B]: the sum over its sampled tokens. All arguments are [B, T]."""
    return jnp.sum(jnp.where(token_mask, new_log_probs - old_log_probs, 0.0), axis=-1)


def chunk_ratio(log_ratio: jax.Array, *, log_ratio_clamp: float) -> jax.Array:
    """exp of `log_ratio` [B], which is first limited to +-`log_ratio_clamp` nats; beyond it the gradient is zero."""
    return jnp.exp(jnp.clip(log_ratio, -log_ratio_clamp, log_ratio_clamp))


def clipped_surrogate(ratio: jax.Array, advantages: jax.Array, *, clip_coef: float) -> jax.Array:
    r"""Loss of each chunk, [B]: :math:`-\min(\rho A, \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon) A)`.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7, negated.

    Args:
        ratio: rho, new over old probability of a chunk, [B].
        advantages: A, [B].
        clip_coef: epsilon, within 0..1.
    """
    clipped = jnp.clip(ratio, 1.0 - clip_coef, 1.0 + clip_coef)
    return -jnp.minimum(ratio * advantages, clipped * advantages)


def approximate_kl(ratio: jax.Array) -> jax.Array:
    r"""Estimate of KL(old || new) from each chunk, nats [B]: :math:`(\rho - 1) - \ln\rho`, unbiased and never negative.

    Source: Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return (ratio - 1.0) - jnp.log(ratio)


def masked_mean(values: jax.Array, mask: jax.Array, *, axis: int | None = None) -> jax.Array:
    """Mean of `values` where `mask` is true, 0 where it nowhere is."""
    count = jnp.sum(mask, axis=axis)
    return jnp.sum(jnp.where(mask, values, 0.0), axis=axis) / jnp.maximum(count, 1)


def normalize(advantages: jax.Array, mask: jax.Array) -> jax.Array:
    """Advantages [N] with mean 0 and standard deviation 1 over the chunks under `mask`; no gradient flows."""
    centred = advantages - masked_mean(advantages, mask)
    deviation = jnp.sqrt(masked_mean(jnp.square(centred), mask))
    return jax.lax.stop_gradient(centred / (deviation + 1e-8))


def ppo_loss(
    evaluation: Evaluation,
    *,
    old_log_probs: jax.Array,
    token_mask: jax.Array,
    policy_mask: jax.Array,
    advantages: jax.Array,
    returns: jax.Array,
    config: config_lib.PPOConfig,
) -> tuple[jax.Array, LossMetrics]:
    """policy loss + vf_coef * value losses - ent_coef * entropy, over a minibatch of B chunks.

    V(s) and V(s, a), where there is one, have the same loss on the same returns, and their losses add up.
    Differs from Schulman et al. 2017, eq. 9: the value loss is not the square but that of `ValueSupport.loss`, Huber's
    or a histogram's cross-entropy.

    Args:
        evaluation: of the current parameters on the chunks.
        old_log_probs: [B, T], recorded while sampling, nats.
        token_mask: bool [B, T], sampled tokens.
        policy_mask: bool [B], false where a human took over.
        advantages: [B], normalised where the configuration says so.
        returns: [B], targets of the values.
        config: reads clip_coef, log_ratio_clamp, vf_coef, ent_coef and value_huber_delta.

    Returns:
        the loss and the metrics of the minibatch.
    """
    log_ratio = chunk_log_ratio(evaluation.token_log_probs, old_log_probs, token_mask)
    ratio = chunk_ratio(log_ratio, log_ratio_clamp=config.log_ratio_clamp)
    surrogate = clipped_surrogate(ratio, advantages, clip_coef=config.clip_coef)
    policy_loss = masked_mean(surrogate, policy_mask)
    value_loss = jnp.mean(evaluation.value.loss(returns, huber_delta=config.value_huber_delta))
    chunk_value_loss = None
    if evaluation.chunk_value is not None:
        chunk_value_loss = jnp.mean(evaluation.chunk_value.loss(returns, huber_delta=config.value_huber_delta))
    entropy = masked_mean(masked_mean(evaluation.entropy, token_mask, axis=-1), policy_mask)
    metrics = LossMetrics(
        policy=policy_loss,
        value=value_loss,
        chunk_value=chunk_value_loss,
        clipped_returns=jnp.mean(evaluation.value.support.is_beyond(returns)),
        entropy=entropy,
        ratio_mean=masked_mean(ratio, policy_mask),
        ratio_min=jnp.min(ratio, where=policy_mask, initial=jnp.inf),
        ratio_max=jnp.max(ratio, where=policy_mask, initial=-jnp.inf),
        clip_fraction=masked_mean(jnp.abs(ratio - 1.0) > config.clip_coef, policy_mask),
        approx_kl=masked_mean(approximate_kl(ratio), policy_mask),
        num_policy_chunks=jnp.sum(policy_mask),
    )
    value_losses = value_loss if chunk_value_loss is None else value_loss + chunk_value_loss
    return policy_loss + config.vf_coef * value_losses - config.ent_coef * entropy, metrics
