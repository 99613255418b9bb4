"""Computes the probability ratios of a chunk at three levels, their clipped surrogate, and estimates of the KL.

A chunk's log-ratio is the sum over its sampled tokens. It grows with the number of tokens, while the clip range does
not. At a clip range of 0.2, a chunk of 32 tokens leaves the range at a mean log-ratio of 0.006 nats for each token. The
levels differ in which ratio is clipped:

- `chunk` has one ratio for each chunk, that of its whole probability.
- `token` has one ratio for each token. The tokens of a chunk share its advantage, and their losses are added.
- `sequence_mean` has one ratio for each chunk, the geometric mean of its tokens' ratios (Zheng et al. 2025, "Group
  sequence policy optimization", eq. 7). It differs from eq. 7 by a weight, the number of tokens, so that it is
  comparable with the other levels.

At ratio 1, where nothing is clipped, all levels have the same gradient: -A times that of the chunk's log-probability.
"""

from __future__ import annotations

import flax.struct
import jax.numpy as jnp
from jaxtyping import Bool, Float

from chunk_ppo_ros.core_jax.arrays import AnyArray, Array

LEVELS = ("chunk", "token", "sequence_mean")


@flax.struct.dataclass
class Ratios:
    """The ratios of new to old probabilities of B chunks. R is 1, or the number of token slots of a chunk.

    Attributes:
        values: the ratios.
        weights: weight of each ratio in the loss of its chunk; 0 where there is no token.
    """

    values: Float[AnyArray, "B R"]
    weights: Float[AnyArray, "B R"]

    @property
    def mask(self) -> Bool[AnyArray, "B R"]:
        """The mask of the ratios that belong to a sampled token or chunk."""
        return self.weights > 0

    def surrogate(self, advantages: Float[AnyArray, "B"], *, clip_range: tuple[float, float]) -> Float[Array, "B"]:
        """Returns the loss of each chunk, the weighted sum of its clipped surrogates with the chunk's advantage."""
        return jnp.sum(
            self.weights * clipped_surrogate(self.values, advantages[:, None], clip_range=clip_range), axis=-1
        )

    def outside(self, clip_range: tuple[float, float]) -> Bool[AnyArray, "B R"]:
        """Returns which of the ratios are outside the clip range."""
        return self.mask & ((self.values < clip_range[0]) | (self.values > clip_range[1]))


def level_ratios(
    token_log_ratios: Float[AnyArray, "B T"],
    token_mask: Bool[AnyArray, "B T"],
    *,
    level: str,
    log_ratio_clamp: float,
) -> Ratios:
    """Returns the ratios of a level.

    Args:
        token_log_ratios: log(new / old) of each token, nats.
        token_mask: true for tokens that were sampled.
        level: one of `LEVELS`.
        log_ratio_clamp: bound on the size of each ratio's logarithm, nats.
    """
    masked = jnp.where(token_mask, token_log_ratios, 0.0)
    if level == "token":
        return Ratios(limited_exp(masked, limit=log_ratio_clamp), token_mask.astype(jnp.float32))
    total = jnp.sum(masked, axis=-1, keepdims=True)
    if level == "chunk":
        return Ratios(limited_exp(total, limit=log_ratio_clamp), jnp.ones_like(total))
    count = jnp.sum(token_mask, axis=-1, keepdims=True).astype(jnp.float32)
    return Ratios(limited_exp(total / jnp.maximum(count, 1.0), limit=log_ratio_clamp), count)


def chunk_log_ratio(
    new_log_probs: Float[AnyArray, "B T"], old_log_probs: Float[AnyArray, "B T"], token_mask: Bool[AnyArray, "B T"]
) -> Float[Array, "B"]:
    """Returns log(new probability / old probability) of each chunk, nats, which is the sum over its sampled tokens.

    Args:
        new_log_probs: log-probability of each token under the new policy, nats.
        old_log_probs: log-probability of each token under the old policy, nats.
        token_mask: true for tokens that were sampled.
    """
    return jnp.sum(jnp.where(token_mask, new_log_probs - old_log_probs, 0.0), axis=-1)


def limited_exp(log_ratios: Float[AnyArray, "*batch"], *, limit: float) -> Float[Array, "*batch"]:
    """Returns exp of log-ratios that are first limited to +-`limit` nats. Beyond the limit, the gradient is zero."""
    return jnp.exp(jnp.clip(log_ratios, -limit, limit))


def clipped_surrogate(
    ratios: Float[AnyArray, "*#shape"], advantages: Float[AnyArray, "*#shape"], *, clip_range: tuple[float, float]
) -> Float[Array, "..."]:
    r"""Returns the loss of each ratio.

    .. math:: -\min(\rho A, \mathrm{clip}(\rho, 1-\epsilon_{low}, 1+\epsilon_{high}) A)

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7, negated. That the upper range may
    differ from the lower one is from Yu et al. 2025, "DAPO", eq. 10.

    Args:
        ratios: rho, the ratios of new to old probabilities.
        advantages: A, in a shape that broadcasts to that of the ratios.
        clip_range: the smallest and the largest ratio that are not clipped.
    """
    return -jnp.minimum(ratios * advantages, jnp.clip(ratios, *clip_range) * advantages)


def kl_k2(log_ratio: Float[AnyArray, "*batch"]) -> Float[Array, "*batch"]:
    r"""Returns an estimate of the KL between old and new policy from each chunk, nats: :math:`\frac{1}{2} (\ln\rho)^2`.

    Source: Schulman 2020, "Approximating KL divergence", estimator k2. It is biased from the third order on. But it
    grows with the square of the log-ratio, while k3 grows with its exponential, so that a few rare tokens do not
    outweigh all others.
    """
    return 0.5 * jnp.square(log_ratio)


def kl_k3(log_ratio: Float[AnyArray, "*batch"], *, limit: float) -> Float[Array, "*batch"]:
    r"""Returns an estimate of KL(old || new) from each chunk, nats: :math:`(\rho - 1) - \ln\rho`.

    It is unbiased and never negative. Source: Schulman 2020, "Approximating KL divergence", estimator k3.
    Log-ratios beyond +-`limit` nats are set to +-`limit`.
    """
    limited = jnp.clip(log_ratio, -limit, limit)
    return jnp.expm1(limited) - limited
