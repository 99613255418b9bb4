"""The loss of PPO on chunks: clipped surrogate, values, entropy, distance to the reference, and cloning of humans.

Three kinds of chunks count differently. What the policy sampled and executed counts in all but the cloning term. What a
human cut short counts in the value loss only. What a human drove (`human_mask`) counts in the cloning term only.
Not here: the ratios themselves (`ratios.py`), which chunks make up a step, and gradients (`gradient_step.py`).
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl import ratios as ratios_lib
from chunk_ppo_ros.rl.evaluation import Evaluation


@flax.struct.dataclass
class LossInputs:
    """What the loss reads of B chunks, beside the present policy's scores.

    Attributes:
        old_log_probs: float32 [B, T], of the policy that sampled, nats.
        reference_log_probs: float32 [B, T], of the reference policy, nats; None where it has no weight in the loss.
        token_mask: bool [B, T], sampled tokens.
        policy_mask: bool [B], chunks that the policy sampled and nobody cut short.
        human_mask: bool [B], chunks that a human drove.
        advantages: float32 [B], normalised where the configuration says so.
        returns: float32 [B], targets of the values.
    """

    old_log_probs: Any
    reference_log_probs: Any
    token_mask: Any
    policy_mask: Any
    human_mask: Any
    advantages: Any
    returns: Any


@flax.struct.dataclass
class Counts:
    """What the means of the loss divide by. Where gradients of several minibatches are added up, these are of all.

    Attributes:
        policy: chunks under the policy mask.
        tokens: sampled tokens of these.
        human: chunks under the human mask.
        valued: chunks that no human drove.
    """

    policy: jax.Array
    tokens: jax.Array
    human: jax.Array
    valued: jax.Array

    @classmethod
    def of(cls, token_mask: Any, policy_mask: Any, human_mask: Any) -> Counts:
        """The counts under masks [..., T], [...] and [...]."""
        return cls(
            policy=jnp.sum(policy_mask),
            tokens=jnp.sum(token_mask & policy_mask[..., None]),
            human=jnp.sum(human_mask),
            valued=jnp.sum(~human_mask),
        )


@flax.struct.dataclass
class LossMetrics:
    """Scalars of one minibatch. Those of the policy are over its `num_policy_chunks` unmasked chunks.

    Attributes:
        policy: clipped surrogate loss, in units of the advantage.
        value: loss of V(s): Huber's, in squared units of reward where it is quadratic, or a cross-entropy in nats.
        chunk_value: the same of V(s, a); None where the policy has none.
        reference: half the squared log-ratio of policy and reference, summed over a chunk's tokens, nats; None without.
        cloning: -log-probability of what humans drove, over all chunks that train the policy, nats; None without.
        clipped_returns: part of the returns that are beyond the range of the value's histogram.
        entropy: mean entropy of a sampled token, nats.
        ratio_mean: mean ratio at the configured level, of new over old probability.
        ratio_min: smallest ratio, +inf without policy chunks.
        ratio_max: largest ratio, -inf without policy chunks.
        clip_fractions: level -> part of its ratios that are outside the clip range.
        kl_k2: estimate of the KL between old and new policy of a chunk, nats.
        kl_k3: another, of KL(old || new).
        num_policy_chunks: chunks that count in the policy loss.
    """

    policy: jax.Array
    value: jax.Array
    chunk_value: jax.Array | None
    reference: jax.Array | None
    cloning: jax.Array | None
    clipped_returns: jax.Array
    entropy: jax.Array
    ratio_mean: jax.Array
    ratio_min: jax.Array
    ratio_max: jax.Array
    clip_fractions: dict[str, jax.Array]
    kl_k2: jax.Array
    kl_k3: jax.Array
    num_policy_chunks: jax.Array

    def joined(self) -> LossMetrics:
        """Those of several minibatches [K] that share their counts, as those of one."""
        summed: LossMetrics = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), self)
        return summed.replace(ratio_min=jnp.min(self.ratio_min), ratio_max=jnp.max(self.ratio_max))  # type: ignore[attr-defined]


def masked_mean(
    values: jax.Array, mask: jax.Array, *, axis: int | None = None, count: jax.Array | None = None
) -> jax.Array:
    """Mean of `values` where `mask` is true, 0 where it nowhere is; `count`, where given, is what it divides by."""
    count = jnp.sum(mask, axis=axis) if count is None else count
    return jnp.sum(jnp.where(mask, values, 0.0), axis=axis) / jnp.maximum(count, 1)


def normalize(advantages: jax.Array, mask: jax.Array) -> jax.Array:
    """Advantages [N] with mean 0 and standard deviation 1 over the chunks under `mask`; no gradient flows."""
    centred = advantages - masked_mean(advantages, mask)
    deviation = jnp.sqrt(masked_mean(jnp.square(centred), mask))
    return jax.lax.stop_gradient(centred / (deviation + 1e-8))


def reference_loss(token_log_probs: jax.Array, reference_log_probs: jax.Array, mask: jax.Array) -> jax.Array:
    r"""Loss of each chunk, [B], whose gradient is that of KL(policy || reference) of its tokens.

    .. math:: \frac{1}{2} \sum_t (\ln\pi_t - \ln\pi^{ref}_t)^2

    On samples of the policy itself the gradient's mean is
    :math:`E[\ln(\pi/\pi^{ref}) \nabla\ln\pi] = \nabla KL(\pi \| \pi^{ref})` for each token's distribution (Schulman
    2020, "Approximating KL divergence", estimator k2). Differs from GRPO (Shao et al. 2024, eq. 4), which takes k3: its
    gradient is that of KL(ref || policy), and grows exponentially where the policy has made a token rare.

    Bias: what a token does to the KL of those after it is left out; in later epochs the samples are the old policy's.

    Args:
        token_log_probs: of the policy, [B, T], nats.
        reference_log_probs: of the reference, [B, T], nats.
        mask: bool [B, T], tokens that count.
    """
    difference = jnp.where(mask, token_log_probs - jax.lax.stop_gradient(reference_log_probs), 0.0)
    return 0.5 * jnp.sum(jnp.square(difference), axis=-1)


def ppo_loss(
    evaluation: Evaluation, inputs: LossInputs, *, config: config_lib.PPOConfig, counts: Counts | None = None
) -> tuple[jax.Array, LossMetrics]:
    """The loss of a minibatch of B chunks and its parts.

    policy + vf_coef * values - ent_coef * entropy + ref_kl_coef * reference + bc_coef * cloning. V(s) and V(s, a),
    where there is one, have the same loss on the same returns, and their losses add up. A chunk that a human drove
    weighs in the cloning term like one of the policy's with the advantage `bc_coef`.
    Differs from Schulman et al. 2017, eq. 9: the value loss is not the square but that of `ValueSupport.loss`, Huber's
    or a histogram's cross-entropy.

    Args:
        evaluation: of the current parameters on the chunks.
        inputs: the chunks.
        config: the weights of the terms, the level and range of the clip, and the value loss.
        counts: what means divide by, where these chunks are a part of a larger minibatch.
    """
    counts = Counts.of(inputs.token_mask, inputs.policy_mask, inputs.human_mask) if counts is None else counts
    policy_loss, figures = _policy_loss(evaluation, inputs, counts, config)
    value_loss = _value_loss(evaluation.value, inputs, counts, config)
    chunk_value_loss = (
        None if evaluation.chunk_value is None else _value_loss(evaluation.chunk_value, inputs, counts, config)
    )
    token_entropy = masked_mean(evaluation.entropy, inputs.token_mask, axis=-1)
    entropy = masked_mean(token_entropy, inputs.policy_mask, count=counts.policy)
    loss = policy_loss + config.vf_coef * value_loss - config.ent_coef * entropy
    if chunk_value_loss is not None:
        loss += config.vf_coef * chunk_value_loss
    reference = cloning = None
    if inputs.reference_log_probs is not None:
        mask = inputs.token_mask & inputs.policy_mask[:, None]
        distances = reference_loss(evaluation.token_log_probs, inputs.reference_log_probs, mask)
        reference = masked_mean(distances, inputs.policy_mask, count=counts.policy)
        loss += config.ref_kl_coef * reference
    if config.bc_coef > 0.0:
        mask = inputs.token_mask & inputs.human_mask[:, None]
        log_probs = jnp.where(mask, evaluation.token_log_probs, 0.0)
        cloning = -jnp.sum(log_probs) / jnp.maximum(counts.policy + counts.human, 1)
        loss += config.bc_coef * cloning
    beyond = evaluation.value.support.is_beyond(inputs.returns)
    metrics = LossMetrics(
        policy=policy_loss,
        value=value_loss,
        chunk_value=chunk_value_loss,
        reference=reference,
        cloning=cloning,
        clipped_returns=masked_mean(beyond, ~inputs.human_mask, count=counts.valued),
        entropy=entropy,
        num_policy_chunks=jnp.sum(inputs.policy_mask),
        **figures,
    )
    return loss, metrics


def _policy_loss(
    evaluation: Evaluation, inputs: LossInputs, counts: Counts, config: config_lib.PPOConfig
) -> tuple[jax.Array, dict[str, Any]]:
    """The clipped surrogate at the configured level, and the figures of the ratios."""
    log_ratios = evaluation.token_log_probs - inputs.old_log_probs
    ratios = {
        level: ratios_lib.level_ratios(
            log_ratios, inputs.token_mask, level=level, log_ratio_clamp=config.log_ratio_clamp
        )
        for level in ratios_lib.LEVELS
    }
    chosen, policy = ratios[config.ratio], inputs.policy_mask
    there = {level: ratio.mask & policy[:, None] for level, ratio in ratios.items()}
    total = {level: counts.tokens if level == "token" else counts.policy for level in ratios}
    log_ratio = ratios_lib.chunk_log_ratio(evaluation.token_log_probs, inputs.old_log_probs, inputs.token_mask)
    k3 = ratios_lib.kl_k3(log_ratio, limit=config.log_ratio_clamp)
    figures = {
        "ratio_mean": masked_mean(chosen.values, there[config.ratio], count=total[config.ratio]),
        "ratio_min": jnp.min(chosen.values, where=there[config.ratio], initial=jnp.inf),
        "ratio_max": jnp.max(chosen.values, where=there[config.ratio], initial=-jnp.inf),
        "clip_fractions": {
            level: masked_mean(ratio.outside(config.ratio_band), there[level], count=total[level])
            for level, ratio in ratios.items()
        },
        "kl_k2": masked_mean(ratios_lib.kl_k2(log_ratio), policy, count=counts.policy),
        "kl_k3": masked_mean(k3, policy, count=counts.policy),
    }
    surrogate = chosen.surrogate(inputs.advantages, band=config.ratio_band)
    return masked_mean(surrogate, policy, count=counts.policy), figures


def _value_loss(estimate: Any, inputs: LossInputs, counts: Counts, config: config_lib.PPOConfig) -> jax.Array:
    losses = estimate.loss(inputs.returns, huber_delta=config.value_huber_delta)
    return masked_mean(losses, ~inputs.human_mask, count=counts.valued)
