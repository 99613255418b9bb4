"""Computes PPO's loss on chunks: clipped surrogate, values, entropy, distance to the reference, and cloning of humans.

There are three kinds of chunks. A chunk that the policy sampled and executed counts in every term but the cloning term.
A chunk that a human cut short counts only in the value loss. A chunk that a human drove (`human_mask`) counts only in
the cloning term. `ratios.py` computes the ratios, and `gradient_step.py` the gradients.
"""

from __future__ import annotations

import functools

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Shaped

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.arrays import AnyArray, Array
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl import ratios as ratios_lib
from chunk_ppo_ros.rl.policy_scores import PolicyScores
from chunk_ppo_ros.rl.update_metrics import MetricScalar, ScalarMetrics, scalar


@flax.struct.dataclass
class LossInputs:
    """The numbers of B chunks that the loss reads beside the scores under the present parameters.

    Attributes:
        old_log_probs: log-probability of each token under the policy that sampled it, nats.
        reference_log_probs: log-probability of each token under the reference policy, nats; None where the reference
            has no weight in the loss.
        token_mask: true for tokens that were sampled.
        policy_mask: true for chunks that the policy sampled and nobody cut short.
        human_mask: true for chunks that a human drove.
        advantages: advantage of each chunk, normalized where the configuration says so.
        returns: targets of the values, in units of reward.
    """

    old_log_probs: Float[AnyArray, "B T"]
    reference_log_probs: Float[Array, "B T"] | None
    token_mask: Bool[AnyArray, "B T"]
    policy_mask: Bool[AnyArray, "B"]
    human_mask: Bool[AnyArray, "B"]
    advantages: Float[Array, "B"]
    returns: Float[Array, "B"]


@flax.struct.dataclass
class Counts:
    """The numbers by which the means of the loss divide. They count the whole minibatch where it is taken in parts.

    Attributes:
        policy: number of chunks under the policy mask.
        tokens: number of sampled tokens of these chunks.
        human: number of chunks under the human mask.
        valued: number of chunks that no human drove.
    """

    policy: Int[AnyArray, ""]
    tokens: Int[AnyArray, ""]
    human: Int[AnyArray, ""]
    valued: Int[AnyArray, ""]

    @classmethod
    def of(
        cls,
        token_mask: Bool[AnyArray, "*batch T"],
        policy_mask: Bool[AnyArray, "*batch"],
        human_mask: Bool[AnyArray, "*batch"],
    ) -> Counts:
        """Returns the counts under masks of sampled tokens, of the policy's chunks and of the chunks of humans."""
        return cls(
            policy=jnp.sum(policy_mask),
            tokens=jnp.sum(token_mask & policy_mask[..., None]),
            human=jnp.sum(human_mask),
            valued=jnp.sum(~human_mask),
        )


def masked_mean(
    values: Shaped[AnyArray, "*shape"],
    mask: Bool[AnyArray, "*shape"],
    *,
    axis: int | None = None,
    count: Int[AnyArray, "..."] | None = None,
) -> Float[Array, "..."]:
    """Returns the mean of `values` where `mask` is true, and 0 where it is true nowhere.

    Args:
        values: numbers or bools.
        mask: true for the values that count.
        axis: the axis over which the mean is taken; None takes all axes.
        count: number by which the sum is divided; None takes the number of true entries of the mask.
    """
    count = jnp.sum(mask, axis=axis) if count is None else count
    return jnp.sum(jnp.where(mask, values, 0.0), axis=axis) / jnp.maximum(count, 1)


def normalize(advantages: Float[Array, "N"], mask: Bool[AnyArray, "N"]) -> Float[Array, "N"]:
    """Returns advantages with mean 0 and standard deviation 1 over the chunks under `mask`. They have no gradient."""
    centered = advantages - masked_mean(advantages, mask)
    deviation = jnp.sqrt(masked_mean(jnp.square(centered), mask))
    return jax.lax.stop_gradient(centered / (deviation + 1e-8))


def reference_loss(
    token_log_probs: Float[AnyArray, "B T"],
    reference_log_probs: Float[AnyArray, "B T"],
    mask: Bool[AnyArray, "B T"],
) -> Float[Array, "B"]:
    r"""Returns a loss of each chunk, in nats, whose gradient is that of KL(policy || reference) of its tokens.

    .. math:: \frac{1}{2} \sum_t (\ln\pi_t - \ln\pi^{ref}_t)^2

    On samples of the policy itself, the gradient's mean is
    :math:`E[\ln(\pi/\pi^{ref}) \nabla\ln\pi] = \nabla KL(\pi \| \pi^{ref})` for each token's distribution (Schulman
    2020, "Approximating KL divergence", estimator k2). GRPO differs (Shao et al. 2024, eq. 4): it uses k3, whose
    gradient is that of KL(ref || policy), and grows exponentially where the policy has made a token rare.

    The estimate has a bias for two reasons. The effect of a token on the KL of later tokens is left out. And in later
    epochs, the samples are those of the policy before the update.

    Args:
        token_log_probs: log-probability of each token under the policy, nats.
        reference_log_probs: log-probability of each token under the reference policy, nats.
        mask: true for the tokens that count.
    """
    difference = jnp.where(mask, token_log_probs - jax.lax.stop_gradient(reference_log_probs), 0.0)
    return 0.5 * jnp.sum(jnp.square(difference), axis=-1)


def ppo_loss(
    scores: PolicyScores, inputs: LossInputs, *, config: config_lib.PPOConfig, counts: Counts | None = None
) -> tuple[Float[Array, ""], ScalarMetrics]:
    r"""Returns the loss of a minibatch of B chunks and the metrics of its parts.

    .. math::
        L = L_{policy} + c_{vf} L_{values} - c_{ent} H + c_{ref} L_{reference} + c_{bc} L_{cloning}

    The weights c are `vf_coef`, `ent_coef`, `ref_kl_coef` and `bc_coef`. V(s), and V(s, a) where there is one, have the
    same loss on the same returns, and their losses are added. A chunk that a human drove has the same weight in the
    cloning term as a chunk of the policy with the advantage `bc_coef` has in the policy's term.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 9. The value loss differs: it is not
    the squared error but `ValueDistribution.loss`, which is Huber's or a histogram's cross-entropy.

    Args:
        scores: scores of the chunks under the present parameters.
        inputs: the other numbers of the chunks.
        config: the weights of the terms, the level and range of the clip, and the value loss.
        counts: numbers by which the means divide, where these chunks are a part of a larger minibatch; None counts
            these chunks.
    """
    counts = Counts.of(inputs.token_mask, inputs.policy_mask, inputs.human_mask) if counts is None else counts
    policy_loss, scalars = _policy_loss(scores, inputs, counts, config)
    value_loss = _value_loss(scores.value, inputs, counts, config)
    entropy = _entropy(scores, inputs, counts)
    loss = policy_loss + config.vf_coef * value_loss - config.ent_coef * entropy
    scalars |= {
        "loss/value": scalar(value_loss),
        "loss/entropy": scalar(entropy, counts=jnp.any(inputs.policy_mask)),
        "value/clipped_returns": scalar(_clipped_returns(scores.value, inputs, counts)),
    }
    if scores.chunk_value is not None:
        chunk_value_loss = _value_loss(scores.chunk_value, inputs, counts, config)
        loss += config.vf_coef * chunk_value_loss
        scalars["loss/chunk_value"] = scalar(chunk_value_loss)
    if inputs.reference_log_probs is not None:
        reference = _mean_reference_loss(scores, inputs, inputs.reference_log_probs, counts)
        loss += config.ref_kl_coef * reference
        scalars["loss/reference"] = scalar(reference, counts=jnp.any(inputs.policy_mask))
    if config.bc_coef > 0.0:
        cloning = _cloning_loss(scores, inputs, counts)
        loss += config.bc_coef * cloning
        scalars["loss/cloning"] = scalar(cloning)
    return loss, ScalarMetrics(scalars)


def _policy_loss(
    scores: PolicyScores, inputs: LossInputs, counts: Counts, config: config_lib.PPOConfig
) -> tuple[Float[Array, ""], dict[str, MetricScalar]]:
    """Returns the clipped surrogate at the configured level, and the metrics of the ratios."""
    log_ratios = scores.token_log_probs - inputs.old_log_probs
    ratios = {
        level: ratios_lib.level_ratios(
            log_ratios, inputs.token_mask, level=level, log_ratio_clamp=config.log_ratio_clamp
        )
        for level in ratios_lib.LEVELS
    }
    chosen, policy = ratios[config.ratio], inputs.policy_mask
    counted_mask = {level: ratio.mask & policy[:, None] for level, ratio in ratios.items()}
    count_by_level = {level: counts.tokens if level == "token" else counts.policy for level in ratios}
    clipped = {
        level: masked_mean(ratio.outside(config.clip_range), counted_mask[level], count=count_by_level[level])
        for level, ratio in ratios.items()
    }
    log_ratio = ratios_lib.chunk_log_ratio(scores.token_log_probs, inputs.old_log_probs, inputs.token_mask)
    k2, k3 = ratios_lib.kl_k2(log_ratio), ratios_lib.kl_k3(log_ratio, limit=config.log_ratio_clamp)
    surrogate = chosen.surrogate(inputs.advantages, clip_range=config.clip_range)
    loss = masked_mean(surrogate, policy, count=counts.policy)
    of_policy = functools.partial(scalar, counts=jnp.any(policy))
    present, values = counted_mask[config.ratio], chosen.values
    return loss, {
        "loss/policy": of_policy(loss),
        "ratio/mean": of_policy(masked_mean(values, present, count=count_by_level[config.ratio]), otherwise=1.0),
        "ratio/min": of_policy(jnp.min(values, where=present, initial=jnp.inf), how="min", otherwise=1.0),
        "ratio/max": of_policy(jnp.max(values, where=present, initial=-jnp.inf), how="max", otherwise=1.0),
        "ratio/clip_fraction": of_policy(clipped[config.ratio]),
        **{f"clip_fraction/{level}": of_policy(share) for level, share in clipped.items()},
        "kl/k2": of_policy(masked_mean(k2, policy, count=counts.policy)),
        "kl/approx": of_policy(masked_mean(k3, policy, count=counts.policy)),
    }


def _value_loss(
    estimate: ValueEstimate, inputs: LossInputs, counts: Counts, config: config_lib.PPOConfig
) -> Float[Array, ""]:
    losses = estimate.loss(inputs.returns, huber_delta=config.value_huber_delta)
    return masked_mean(losses, ~inputs.human_mask, count=counts.valued)


def _clipped_returns(estimate: ValueEstimate, inputs: LossInputs, counts: Counts) -> Float[Array, ""]:
    """Returns the share of the returns that are beyond the range of the value's histogram."""
    return masked_mean(estimate.distribution.is_beyond(inputs.returns), ~inputs.human_mask, count=counts.valued)


def _entropy(scores: PolicyScores, inputs: LossInputs, counts: Counts) -> Float[Array, ""]:
    """Returns the mean over the policy's chunks of the mean entropy of a sampled token, nats."""
    token_entropy = masked_mean(scores.entropy, inputs.token_mask, axis=-1)
    return masked_mean(token_entropy, inputs.policy_mask, count=counts.policy)


def _mean_reference_loss(
    scores: PolicyScores, inputs: LossInputs, reference_log_probs: Float[Array, "B T"], counts: Counts
) -> Float[Array, ""]:
    """Returns the mean of `reference_loss` over the policy's chunks, nats."""
    mask = inputs.token_mask & inputs.policy_mask[:, None]
    distances = reference_loss(scores.token_log_probs, reference_log_probs, mask)
    return masked_mean(distances, inputs.policy_mask, count=counts.policy)


def _cloning_loss(scores: PolicyScores, inputs: LossInputs, counts: Counts) -> Float[Array, ""]:
    """Returns the sum of the negative log-probabilities of the humans' chunks, divided by a number of chunks, nats.

    That number counts the chunks of the policy and those of the humans, which all train the policy.
    """
    mask = inputs.token_mask & inputs.human_mask[:, None]
    log_probs = jnp.where(mask, scores.token_log_probs, 0.0)
    return -jnp.sum(log_probs) / jnp.maximum(counts.policy + counts.human, 1)
