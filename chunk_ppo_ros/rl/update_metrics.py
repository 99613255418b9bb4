"""The figures of an update: as typed structs inside jit, and as names and values where they are logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.struct
import jax
import numpy as np

from chunk_ppo_ros.rl.log_prob_check import RolloutScores
from chunk_ppo_ros.rl.losses import LossMetrics
from chunk_ppo_ros.rl.ratios import LEVELS
from chunk_ppo_ros.rl.trust_region import Attempts


@flax.struct.dataclass
class RolloutMetrics:
    """Scalars of a rollout before training, in units of reward where nothing else is said, without what humans drove.

    Attributes:
        explained_variance: 1 - Var(returns - values) / Var(returns), with the values that fed GAE; not finite where all
            returns are equal.
        value_mean: of the values recorded while sampling, which fed GAE.
        return_mean: mean of the targets of the values.
        advantage_std: before normalisation.
        reward_mean: reward of a chunk; likewise the next three.
        reward_std: standard deviation.
        reward_min: smallest.
        reward_max: largest.
        tokens_per_chunk: mean number of sampled tokens.
        invalid_fraction: share of chunks whose tokens stood for no actions.
        human_fraction: share of all chunks that humans drove.
    """

    explained_variance: jax.Array
    value_mean: jax.Array
    return_mean: jax.Array
    advantage_std: jax.Array
    reward_mean: jax.Array
    reward_std: jax.Array
    reward_min: jax.Array
    reward_max: jax.Array
    tokens_per_chunk: jax.Array
    invalid_fraction: jax.Array
    human_fraction: jax.Array


@flax.struct.dataclass
class StepMetrics:
    """Scalars of one gradient step.

    Attributes:
        loss: the parts of the loss.
        grad_norm_actor: global norm of the actor's gradient before clipping; 0 while the policy is frozen.
        grad_norm_value: the same of the value head.
        finite: whether the loss and both norms are finite.
    """

    loss: LossMetrics
    grad_norm_actor: jax.Array
    grad_norm_value: jax.Array
    finite: jax.Array


def _named(name: str) -> Any:
    """A field that is logged under `name`."""
    return dataclasses.field(metadata={"name": name})


@dataclasses.dataclass(frozen=True)
class UpdateMetrics:
    """The figures of an update; `as_dict` gives their logged names. Means are over all gradient steps.

    Those of the policy are over the steps that had a policy chunk; where none had, nothing moved: ratio 1, KL 0.
    Those of V(s, a), of the reference and of cloning are None where there is none. Where attempts were undone, those of
    the steps are of the last one; `accepted` is 0 where that was undone too.
    """

    loss_policy: float = _named("loss/policy")
    loss_value: float = _named("loss/value")
    loss_chunk_value: float | None = _named("loss/chunk_value")
    loss_entropy: float = _named("loss/entropy")
    loss_reference: float | None = _named("loss/reference")
    loss_cloning: float | None = _named("loss/cloning")
    ratio_mean: float = _named("ratio/mean")
    ratio_min: float = _named("ratio/min")
    ratio_max: float = _named("ratio/max")
    ratio_clip_fraction: float = _named("ratio/clip_fraction")
    clip_fraction_chunk: float = _named("clip_fraction/chunk")
    clip_fraction_token: float = _named("clip_fraction/token")
    clip_fraction_sequence_mean: float = _named("clip_fraction/sequence_mean")
    kl_k2: float = _named("kl/k2")
    approx_kl: float = _named("kl/approx")
    logp_gap_max_ratio: float = _named("logp_gap/max_ratio")
    logp_gap_token_max: float = _named("logp_gap/token_max")
    explained_variance: float = _named("value/explained_variance")
    chunk_explained_variance: float | None = _named("value/chunk_explained_variance")
    clipped_returns: float = _named("value/clipped_returns")
    value_mean: float = _named("value/mean")
    return_mean: float = _named("return/mean")
    advantage_std: float = _named("advantage/std")
    grad_norm_actor: float = _named("grad_norm/actor")
    grad_norm_value: float = _named("grad_norm/value")
    reward_mean: float = _named("reward/chunk_mean")
    reward_std: float = _named("reward/chunk_std")
    reward_min: float = _named("reward/chunk_min")
    reward_max: float = _named("reward/chunk_max")
    tokens_per_chunk: float = _named("tokens/mean_per_chunk")
    invalid_fraction: float = _named("decoding/invalid_fraction")
    human_fraction: float = _named("rollout/human_fraction")
    kl_after: float | None = _named("kl/after")
    kl_after_k3: float | None = _named("kl/after_k3")
    kl_reference: float | None = _named("kl/reference")
    epochs_done: float = _named("update/epochs_done")
    accepted: float = _named("update/accepted")
    rolled_back: float = _named("update/rolled_back")
    rate_scale: float = _named("update/rate_scale")

    def as_dict(self) -> dict[str, float]:
        """Logged name -> value, of what there is."""
        named = {field.metadata["name"]: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    @classmethod
    def collect(
        cls,
        steps: Sequence[StepMetrics],
        rollout: RolloutMetrics,
        scores: RolloutScores,
        *,
        returns: np.ndarray,
        human_mask: np.ndarray,
        level: str,
        epochs_done: float,
        attempts: Attempts,
        kl_reference: float | None,
    ) -> UpdateMetrics:
        """Joins the figures of the gradient steps with those of the rollout; all are on the host.

        Args:
            steps: at least one.
            rollout: before training.
            scores: of the rollout, by the parameters before training.
            returns: float32 [N], targets of the values.
            human_mask: bool [N], chunks that humans drove.
            level: of the ratios that are clipped.
            epochs_done: passes over the rollout.
            attempts: how often the update was made, and at what rate.
            kl_reference: KL(policy || reference) of a chunk before training, nats; None without a reference.
        """
        parts = [step.loss for step in steps]
        policy = [part for part in parts if part.num_policy_chunks > 0]
        figures = {
            "loss_policy": _mean([part.policy for part in policy], default=0.0),
            "loss_value": _mean([part.value for part in parts]),
            "loss_chunk_value": _mean([part.chunk_value for part in parts if part.chunk_value is not None]),
            "loss_reference": _mean([part.reference for part in policy if part.reference is not None]),
            "loss_cloning": _mean([part.cloning for part in parts if part.cloning is not None]),
            "clipped_returns": _mean([part.clipped_returns for part in parts]),
            "loss_entropy": _mean([part.entropy for part in policy], default=0.0),
            "ratio_mean": _mean([part.ratio_mean for part in policy], default=1.0),
            "ratio_min": min((part.ratio_min for part in policy), default=1.0),
            "ratio_max": max((part.ratio_max for part in policy), default=1.0),
            "ratio_clip_fraction": _mean([part.clip_fractions[level] for part in policy], default=0.0),
            **{
                f"clip_fraction_{name}": _mean([part.clip_fractions[name] for part in policy], default=0.0)
                for name in LEVELS
            },
            "kl_k2": _mean([part.kl_k2 for part in policy], default=0.0),
            "approx_kl": _mean([part.kl_k3 for part in policy], default=0.0),
            "logp_gap_max_ratio": np.max(scores.chunk_gaps),
            "logp_gap_token_max": np.max(scores.token_gaps),
            "chunk_explained_variance": _explained_variance(returns, scores.chunk_values, ~human_mask),
            "grad_norm_actor": _mean([step.grad_norm_actor for step in steps]),
            "grad_norm_value": _mean([step.grad_norm_value for step in steps]),
            "kl_after": attempts.kl and attempts.kl.k2,
            "kl_after_k3": attempts.kl and attempts.kl.k3,
            "kl_reference": kl_reference,
            "epochs_done": epochs_done,
            "accepted": attempts.accepted,
            "rolled_back": attempts.undone,
            "rate_scale": attempts.rate_scale,
            **{field.name: getattr(rollout, field.name) for field in dataclasses.fields(rollout)},
        }
        numbers: dict[str, Any] = {name: None if value is None else float(value) for name, value in figures.items()}
        return cls(**numbers)


def _explained_variance(returns: np.ndarray, values: np.ndarray | None, mask: np.ndarray) -> float | None:
    """As `RolloutMetrics.explained_variance`, of what is under the mask; None without values."""
    if values is None:
        return None
    returns, values = returns[mask], values[mask]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(1.0 - np.var(returns - values) / np.var(returns))


def _mean(values: Sequence[jax.Array], *, default: float | None = None) -> float | None:
    return float(np.mean(values)) if values else default
