"""The loss of PPO on chunks: clipped surrogate, values, entropy, distance to the reference, and cloning of humans.

Three kinds of chunks count differently. What the policy sampled and executed counts in all but the cloning term. What a
human cut short counts in the value loss only. What a human drove (`human_mask`) counts in the cloning term only.
Not here: the ratios themselves (`ratios.py`), which chunks make up a step, and gradients (`gradient_step.py`).
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
    """What the loss reads of B chunks, beside the present policy's scores.

    Attributes:
        old_log_probs: log-probability of each token under the policy that sampled, nats.
        reference_log_probs: the same under the reference policy, nats; None where it has no weight in the loss.
        token_mask: which tokens were sampled.
        policy_mask: which chunks the policy sampled and nobody cut short.
        human_mask: which chunks a human drove.
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
    """What the means of the loss divide by. Where gradients of several minibatches are added up, these are of all.

    Attributes:
        policy: chunks under the policy mask.
        tokens: sampled tokens of these.
        human: chunks under the human mask.
        valued: chunks that no human drove.
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
        """Returns the counts under masks of sampled tokens, of the policy's chunks and of what humans drove."""
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
    """Returns the mean of `values` where `mask` is true, and 0 where it nowhere is.

    Args:
        values: numbers or bools.
        mask: which of them count.
        axis: that the mean is taken over; all axes where None.
        count: what the sum is divided by, where that is not the number of true entries of the mask.
    """
    count = jnp.sum(mask, axis=axis) if count is None else count
    return jnp.sum(jnp.where(mask, values, 0.0), axis=axis) / jnp.maximum(count, 1)


def normalize(advantages: Float[Array, "N"], mask: Bool[AnyArray, "N"]) -> Float[Array, "N"]:
    """Returns advantages with mean 0 and standard deviation 1 over the chunks under `mask`; no gradient flows."""
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

    On samples of the policy itself the gradient's mean is
    :math:`E[\ln(\pi/\pi^{ref}) \nabla\ln\pi] = \nabla KL(\pi \| \pi^{ref})` for each token's distribution (Schulman
    2020, "Approximating KL divergence", estimator k2). Differs from GRPO (Shao et al. 2024, eq. 4), which takes k3: its
    gradient is that of KL(ref || policy), and grows exponentially where the policy has made a token rare.

    It has a bias: what a token does to the KL of those after it is left out, and in later epochs the samples are the
    old policy's.

    Args:
        token_log_probs: log-probability of each token under the policy, nats.
        reference_log_probs: the same under the reference, nats.
        mask: which tokens count.
    """
    difference = jnp.where(mask, token_log_probs - jax.lax.stop_gradient(reference_log_probs), 0.0)
    return 0.5 * jnp.sum(jnp.square(difference), axis=-1)


def ppo_loss(
    scores: PolicyScores, inputs: LossInputs, *, config: config_lib.PPOConfig, counts: Counts | None = None
) -> tuple[Float[Array, ""], ScalarMetrics]:
    r"""Returns the loss of a minibatch of B chunks and the metrics of its parts.

    .. math::
        L = L_{policy} + c_{vf} L_{values} - c_{ent} H + c_{ref} L_{reference} + c_{bc} L_{cloning}

    The weights c are `vf_coef`, `ent_coef`, `ref_kl_coef` and `bc_coef`. V(s) and V(s, a), where there is one, have the
    same loss on the same returns, and their losses add up. A chunk that a human drove weighs in the cloning term like
    one of the policy's with the advantage `bc_coef`.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 9. Differs from it: the value loss is
    not the square but that of `ValueDistribution.loss`, Huber's or a histogram's cross-entropy.

    Args:
        scores: what the current parameters say about the chunks.
        inputs: what else is known of the chunks.
        config: the weights of the terms, the level and range of the clip, and the value loss.
        counts: what means divide by, where these chunks are a part of a larger minibatch.
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
    """The clipped surrogate at the configured level, and the metrics of the ratios."""
    log_ratios = scores.token_log_probs - inputs.old_log_probs
    ratios = {
        level: ratios_lib.level_ratios(
            log_ratios, inputs.token_mask, level=level, log_ratio_clamp=config.log_ratio_clamp
        )
        for level in ratios_lib.LEVELS
    }
    chosen, policy = ratios[config.ratio], inputs.policy_mask
    there = {level: ratio.mask & policy[:, None] for level, ratio in ratios.items()}
    total = {level: counts.tokens if level == "token" else counts.policy for level in ratios}
    clipped = {
        level: masked_mean(ratio.outside(config.clip_range), there[level], count=total[level])
        for level, ratio in ratios.items()
    }
    log_ratio = ratios_lib.chunk_log_ratio(scores.token_log_probs, inputs.old_log_probs, inputs.token_mask)
    k2, k3 = ratios_lib.kl_k2(log_ratio), ratios_lib.kl_k3(log_ratio, limit=config.log_ratio_clamp)
    surrogate = chosen.surrogate(inputs.advantages, clip_range=config.clip_range)
    loss = masked_mean(surrogate, policy, count=counts.policy)
    of_policy = functools.partial(scalar, counts=jnp.any(policy))
    present, values = there[config.ratio], chosen.values
    return loss, {
        "loss/policy": of_policy(loss),
        "ratio/mean": of_policy(masked_mean(values, present, count=total[config.ratio]), otherwise=1.0),
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
    """The share of the returns that are beyond the range of the value's histogram."""
    return masked_mean(estimate.distribution.is_beyond(inputs.returns), ~inputs.human_mask, count=counts.valued)


def _entropy(scores: PolicyScores, inputs: LossInputs, counts: Counts) -> Float[Array, ""]:
    """The mean over the policy's chunks of the mean entropy of a sampled token, nats."""
    token_entropy = masked_mean(scores.entropy, inputs.token_mask, axis=-1)
    return masked_mean(token_entropy, inputs.policy_mask, count=counts.policy)


def _mean_reference_loss(
    scores: PolicyScores, inputs: LossInputs, reference_log_probs: Float[Array, "B T"], counts: Counts
) -> Float[Array, ""]:
    """The mean of `reference_loss` over the policy's chunks, nats."""
    mask = inputs.token_mask & inputs.policy_mask[:, None]
    distances = reference_loss(scores.token_log_probs, reference_log_probs, mask)
    return masked_mean(distances, inputs.policy_mask, count=counts.policy)


def _cloning_loss(scores: PolicyScores, inputs: LossInputs, counts: Counts) -> Float[Array, ""]:
    """The negative log-probability of what humans drove, over all chunks that train the policy, nats."""
    mask = inputs.token_mask & inputs.human_mask[:, None]
    log_probs = jnp.where(mask, scores.token_log_probs, 0.0)
    return -jnp.sum(log_probs) / jnp.maximum(counts.policy + counts.human, 1)
