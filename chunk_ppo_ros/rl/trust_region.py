"""Measures whether an update moved the policy too far, and decides the rate of the next update.

`gradient_step.TrainState.undone` undoes an update, and `update.py` tries it again.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import AnyArray
from chunk_ppo_ros.rl.distributions.of_rollout import RATIO
from chunk_ppo_ros.rl.rollout import RolloutBatch

MAX_ATTEMPTS = 4
"""The largest number of attempts at an update from the same parameters. By default the last is at 1/8 of the rate."""

RECOVERY = 1.1
"""The factor on the rate's scale after each accepted update, up to a scale of 1. Eight updates make good a halving."""

QUANTILES = (5, 25, 50, 75, 95)
"""The quantiles of the chunks' ratios that are logged, percent."""


@dataclasses.dataclass(frozen=True)
class KLAfter:
    """The distance that the policy has moved on a rollout, nats for each chunk; 0 where no chunk is the policy's.

    Attributes:
        k2: half the mean squared log-ratio (`ratios.kl_k2`), which `ppo.max_kl` limits.
        k3: the mean of `ratios.kl_k3`.
        ratios: quantiles of the ratios of new to old probability of the chunks, by `QUANTILES`; 1 where no chunk is the
            policy's.
        distribution: histogram of these ratios; None where there is no finite one.
    """

    k2: float = 0.0
    k3: float = 0.0
    ratios: tuple[float, ...] = (1.0,) * len(QUANTILES)
    distribution: Histogram | None = None

    @classmethod
    def measure(
        cls,
        old_log_probs: Float[AnyArray, "N T"],
        new_log_probs: Float[AnyArray, "N T"],
        rollout: RolloutBatch,
        *,
        log_ratio_clamp: float,
    ) -> KLAfter:
        """Returns how far the policy has moved. It is NaN where a log-probability is NaN.

        Args:
            old_log_probs: log-probability of each token before the update, nats.
            new_log_probs: log-probability of each token after the update, nats.
            rollout: N chunks.
            log_ratio_clamp: bound on the size of a chunk's log-ratio in k3, nats.
        """
        log_ratio = _policy_log_ratios(new_log_probs, old_log_probs, rollout)
        if not log_ratio.size:
            return cls()
        limited = np.clip(log_ratio, -log_ratio_clamp, log_ratio_clamp)
        return cls(
            k2=float(np.mean(0.5 * log_ratio**2)),
            k3=float(np.mean(np.expm1(limited) - limited)),
            ratios=tuple(np.exp(np.quantile(limited, [percent / 100.0 for percent in QUANTILES])).tolist()),
            distribution=Histogram.of(np.exp(limited), is_log=True),
        )

    def metrics(self) -> Metrics:
        """Returns the metrics of the distance and of the ratios."""
        spread = {f"ratio/after_p{percent:02d}": ratio for percent, ratio in zip(QUANTILES, self.ratios, strict=True)}
        drawn = {} if self.distribution is None else {RATIO: self.distribution}
        return Metrics({"kl/after": self.k2, "kl/after_k3": self.k3, **spread}, drawn)


@dataclasses.dataclass(frozen=True)
class Attempts:
    """The attempts at one update.

    Attributes:
        lr_scale: factor on the actor's learning rate in the last attempt.
        undone: number of attempts that were undone.
        accepted: whether the last attempt was accepted.
        kl: how far the policy moved in the last attempt; None where that was not measured.
    """

    lr_scale: float
    undone: int
    accepted: bool
    kl: KLAfter | None

    def next_scale(self, config: config_lib.PPOConfig) -> float:
        """Returns the scale of the actor's learning rate for the next update, above 0 and at most 1."""
        return min(1.0, self.lr_scale * RECOVERY) if self.accepted else self.lr_scale * config.rate_backoff

    def metrics(self) -> Metrics:
        """Returns the metrics of the attempts, without the KL where it was not measured."""
        made = {
            "update/accepted": float(self.accepted),
            "update/rolled_back": float(self.undone),
            "update/rate_scale": self.lr_scale,
        }
        return Metrics(made) if self.kl is None else self.kl.metrics() | Metrics(made)


def mean_log_ratio(
    log_probs: Float[AnyArray, "N T"], reference_log_probs: Float[AnyArray, "N T"], rollout: RolloutBatch
) -> float:
    """Returns an estimate of KL(policy || reference) of a chunk from the policy's own samples, nats.

    It is the mean log-ratio (Schulman 2020, "Approximating KL divergence", estimator k1), which is unbiased and
    therefore may be negative. It is 0 where no chunk is the policy's.

    Args:
        log_probs: log-probability of each token under the policy that sampled it, nats.
        reference_log_probs: log-probability of each token under the reference policy, nats.
        rollout: N chunks.
    """
    log_ratio = _policy_log_ratios(log_probs, reference_log_probs, rollout)
    return float(np.mean(log_ratio)) if log_ratio.size else 0.0


def _policy_log_ratios(
    log_probs: Float[AnyArray, "N T"], others: Float[AnyArray, "N T"], rollout: RolloutBatch
) -> Float[np.ndarray, "M"]:
    """Returns the log-ratios of the M chunks of the policy, in float64, nats."""
    differences = np.where(rollout.token_mask, log_probs - others, 0.0)
    return np.asarray(differences.sum(axis=-1, dtype=np.float64))[np.asarray(rollout.policy_mask)]
