"""Whether an update went too far, and at what rate the next one is tried.

Not here: undoing it (`gradient_step.TrainState.undone`) and trying again (`update.py`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import AnyArray
from chunk_ppo_ros.rl.rollout import RolloutBatch

MAX_ATTEMPTS = 4
"""How often an update is tried from the same parameters; by default the last time at an eighth of the rate."""

RECOVERY = 1.1
"""Factor on the scale of the rate, up to 1, with each accepted update: a halving is made good by eight."""


@dataclasses.dataclass(frozen=True)
class KLAfter:
    """How far the policy has moved on the chunks of a rollout, nats a chunk; 0 where none of them was the policy's.

    Attributes:
        k2: half the mean squared log-ratio (`ratios.kl_k2`), which is what is limited.
        k3: the mean of `ratios.kl_k3`.
    """

    k2: float = 0.0
    k3: float = 0.0

    @classmethod
    def measure(
        cls,
        old_log_probs: Float[AnyArray, "N T"],
        new_log_probs: Float[AnyArray, "N T"],
        rollout: RolloutBatch,
        *,
        log_ratio_clamp: float,
    ) -> KLAfter:
        """Returns how far the policy has moved; not a number where a log-probability is not.

        Args:
            old_log_probs: log-probability of each token before the update, nats.
            new_log_probs: the same after it.
            rollout: N chunks.
            log_ratio_clamp: bound on the size of a chunk's log-ratio in k3, nats.
        """
        log_ratio = _policy_log_ratios(new_log_probs, old_log_probs, rollout)
        if not log_ratio.size:
            return cls()
        limited = np.clip(log_ratio, -log_ratio_clamp, log_ratio_clamp)
        return cls(k2=float(np.mean(0.5 * log_ratio**2)), k3=float(np.mean(np.expm1(limited) - limited)))


@dataclasses.dataclass(frozen=True)
class Attempts:
    """The attempts at one update.

    Attributes:
        lr_scale: factor on the actor's learning rate in the last one.
        undone: how many were undone.
        accepted: whether the last one was accepted.
        kl: how far the policy moved in the last one; None where that was not measured.
    """

    lr_scale: float
    undone: int
    accepted: bool
    kl: KLAfter | None

    def next_scale(self, config: config_lib.PPOConfig) -> float:
        """Returns the scale of the actor's learning rate for the next update, above 0 and at most 1."""
        return min(1.0, self.lr_scale * RECOVERY) if self.accepted else self.lr_scale * config.rate_backoff

    def metrics(self) -> Metrics:
        """Returns how the update went; without the KL where it was not measured."""
        made = {
            "update/accepted": float(self.accepted),
            "update/rolled_back": float(self.undone),
            "update/rate_scale": self.lr_scale,
        }
        return Metrics(made if self.kl is None else {"kl/after": self.kl.k2, "kl/after_k3": self.kl.k3, **made})


def mean_log_ratio(
    log_probs: Float[AnyArray, "N T"], reference_log_probs: Float[AnyArray, "N T"], rollout: RolloutBatch
) -> float:
    """Returns KL(policy || reference) of a chunk from the policy's own samples, nats; 0 without policy chunks.

    It is the mean log-ratio (Schulman 2020, "Approximating KL divergence", estimator k1), which is unbiased and
    therefore may be negative.

    Args:
        log_probs: log-probability of each token under the policy that sampled, nats.
        reference_log_probs: the same under the reference, nats.
        rollout: N chunks.
    """
    log_ratio = _policy_log_ratios(log_probs, reference_log_probs, rollout)
    return float(np.mean(log_ratio)) if log_ratio.size else 0.0


def _policy_log_ratios(
    log_probs: Float[AnyArray, "N T"], others: Float[AnyArray, "N T"], rollout: RolloutBatch
) -> Float[np.ndarray, "M"]:
    """The log-ratios of the M chunks of the policy, in float64, nats."""
    differences = np.where(rollout.token_mask, log_probs - others, 0.0)
    return np.asarray(differences.sum(axis=-1, dtype=np.float64))[np.asarray(rollout.policy_mask)]
