"""Makes one PPO update: it checks the log-probabilities, computes advantages and trains in epochs of minibatches.

All shapes are fixed. An update that moved the policy too far (`trust_region.py`) is undone and made again at a lower
rate, from the same chunks. The caller collects the rollout, counts updates, and writes checkpoints and metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import jax
import numpy as np
from jaxtyping import PyTree

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import Key, Params, Tree
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.rl.distributions.of_rollout import rollout_distributions
from chunk_ppo_ros.rl.epochs import Epochs, Passes, Progress, minibatches
from chunk_ppo_ros.rl.gradient_step import GradientStep, OptState, Reload, TrainState, committed
from chunk_ppo_ros.rl.log_prob_check import LogProbCheck, RolloutScores
from chunk_ppo_ros.rl.optimizer import LR_SCALE, ActorCriticOptimizer
from chunk_ppo_ros.rl.policy_scores import Evaluate
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.targets import Targets, chunk_value_metrics, compute_targets
from chunk_ppo_ros.rl.trust_region import MAX_ATTEMPTS, Attempts, KLAfter, mean_log_ratio
from chunk_ppo_ros.rl.update_metrics import metrics_of

Prepare: TypeAlias = Callable[[Params, Tree], Tree]
"""The type of a function of (parameters, observation of B chunks) that returns what `evaluate` takes in its place."""


@dataclasses.dataclass(frozen=True)
class UpdateResult:
    """The new parameters, their optimizer state, and the metrics of the update."""

    params: Params
    opt_state: OptState
    metrics: Metrics


class PPOUpdate:
    """Makes updates. Each function compiles once for rollouts of one size, and the step once more for a frozen policy.

    Args:
        evaluate: scores sampled tokens under given parameters.
        optimizer: the optimizers of the groups `actor_backbone` and `value_head`.
        config: the PPO settings.
        trained: which leaves of `actor_backbone` are trained, as in `Partition`. A step neither copies nor returns the
            others, and they have no gradients and no optimizer state. The value head is always trained.
        prepare: function of (params, observation of B chunks) that returns what `evaluate` takes in the place of the
            observation. It may read frozen parameters only, because it runs once for each chunk of a rollout, before
            the first step.
        dtype: dtype of the computation, which decides the limit on |ratio - 1| of a chunk before the first step.
        reference: parameters of `actor_backbone` near which `ref_kl_coef` keeps the policy; needed where that is not 0.
            Arrays that `run` may use up must not be among them.

    Raises:
        ValueError: where `ref_kl_coef` is not 0 and there is no reference.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        optimizer: ActorCriticOptimizer,
        config: config_lib.PPOConfig,
        *,
        trained: PyTree[bool] = True,
        prepare: Prepare | None = None,
        dtype: str = "float32",
        reference: Params | None = None,
    ) -> None:
        if config.ref_kl_coef > 0.0 and reference is None:
            raise ValueError(f"ppo.ref_kl_coef must be 0 without a reference, got {config.ref_kl_coef}; give one")
        self._config = config
        self._check = LogProbCheck(evaluate, batch_size=config.batch_size, limit=config.logp_gap_limit(dtype))
        self._prepare = None if prepare is None else jax.jit(_by_minibatch(prepare, size=config.batch_size))
        self._targets = jax.jit(lambda rollout: compute_targets(rollout, config))
        self._step = GradientStep(evaluate, optimizer, config, trained=trained)
        self._reference = committed(reference) if config.ref_kl_coef > 0.0 else None

    def run(
        self,
        params: Params,
        opt_state: OptState,
        rollout: RolloutBatch,
        *,
        key: Key,
        policy_frozen: bool = False,
        reload: Reload | None = None,
        progress: Progress | None = None,
    ) -> UpdateResult:
        """Trains on one rollout. `params` and `opt_state` are left as they are, unless they can be loaded again.

        Where a step is not finite, or the policy moved further than `max_kl`, all steps are undone, also those of the
        value head. They are made again at `rate_backoff` of the actor's rate, and at the value head's own rate. After
        `MAX_ATTEMPTS`, everything stays as it was except the scale of the rate.

        Args:
            params: `{"actor_backbone": ..., "value_head": ...}`, the parameters that sampled the rollout.
            opt_state: result of `ActorCriticOptimizer.init` for the same trained leaves, or of the update before.
            rollout: N chunks, a multiple of the number of chunks in a step of the optimizer.
            key: source of randomness that shuffles the minibatches; the same key gives the same result.
            policy_frozen: whether only the value head is trained, as in the critic's warm-up. The actor and its
                optimizer state stay as they are.
            reload: function that returns `params` and `opt_state` again, equal to the bit, for example from their
                checkpoint. With it no copy is kept that undoes the steps, so that less memory is needed: the trained
                arrays of `params` and those of `opt_state` are used up, also where the steps end with an error.
            progress: function that is called with the steps done and the largest number of steps, after each step.

        Returns:
            The new parameters and optimizer state, and the metrics.

        Raises:
            LogProbGapError: if the recorded log-probs are not those of `params`.
            UpdateError: if the loss or a gradient of the first step is not finite, which no lower rate would mend.
            ValueError: if N is not a multiple of the chunks in a step.
        """
        num_chunks, per_step = len(rollout.rewards), self._config.num_chunks_per_step
        if num_chunks % per_step:
            raise ValueError(
                f"chunks of a rollout must be a multiple of those in a step ({per_step}: ppo.batch_size times "
                f"ppo.gradient_accumulation_steps), got {num_chunks}; collect ppo.num_chunks_per_update of them"
            )
        params = committed(params)
        rollout = self._prepared(params, rollout)
        scores = self._check(params, rollout)
        if self._config.recompute_log_probs:
            rollout = dataclasses.replace(rollout, token_log_probs=jax.device_put(scores.token_log_probs))
        targets, rollout_metrics = self._targets(rollout)
        targets, reference_metrics = self._with_reference(targets, params, rollout, scores)
        state = self._step.begin(params, opt_state, policy_frozen=policy_frozen, reload=reload)
        epochs = Epochs(self._step, self._config, key=key, progress=progress)
        scale = float(opt_state[LR_SCALE])
        state, passes, attempts = self._attempt(epochs, state, rollout, targets, scores=scores, scale=scale)
        returns = jax.device_get(targets.returns)
        chunk_values = chunk_value_metrics(scores.chunk_values, returns, human_mask=jax.device_get(rollout.human_mask))
        metrics = metrics_of([jax.device_get(rollout_metrics)]) | passes.metrics() | attempts.metrics()
        metrics |= scores.gap_metrics() | reference_metrics | chunk_values
        metrics |= Metrics(histograms=rollout_distributions(rollout, returns))
        next_scale = scale if policy_frozen else attempts.next_scale(self._config)
        opt_state = {**opt_state, **state.opt_state, LR_SCALE: jax.device_put(np.float32(next_scale))}
        return UpdateResult(state.params, opt_state, metrics)

    def _attempt(
        self,
        epochs: Epochs,
        state: TrainState,
        rollout: RolloutBatch,
        targets: Targets,
        *,
        scores: RolloutScores,
        scale: float,
    ) -> tuple[TrainState, Passes, Attempts]:
        """Makes the passes at lower and lower rates, until the policy has not moved too far.

        It returns the state after the accepted passes, or the state before the first one where none was accepted.
        """
        most = 1 if state.policy_frozen else MAX_ATTEMPTS
        for undone in range(most):
            passes = epochs.run(state, rollout, targets, lr_scale=scale)
            kl = self._kl_after(passes, rollout, scores)
            if passes.finite and (kl is None or kl.k2 <= self._config.max_kl):
                return passes.state, passes, Attempts(scale, undone, accepted=True, kl=kl)
            state = passes.state.undone()
            if undone < most - 1:
                scale *= self._config.rate_backoff
        return state, passes, Attempts(scale, most, accepted=False, kl=kl)

    def _kl_after(self, passes: Passes, rollout: RolloutBatch, scores: RolloutScores) -> KLAfter | None:
        """Returns how far the policy has moved; None where it is frozen, has no limit, or a step was not finite."""
        if self._config.max_kl == 0.0 or passes.state.policy_frozen or not passes.finite:
            return None
        after = self._check.scores(passes.state.params, rollout).token_log_probs
        return KLAfter.measure(scores.token_log_probs, after, rollout, log_ratio_clamp=self._config.log_ratio_clamp)

    def _with_reference(
        self, targets: Targets, params: Params, rollout: RolloutBatch, scores: RolloutScores
    ) -> tuple[Targets, Metrics]:
        """Returns the targets with the reference's log-probabilities, and the KL(policy || reference) of a chunk.

        The KL is that before the first step.
        """
        if self._reference is None:
            return targets, Metrics()
        reference = self._check.scores({**params, ACTOR: self._reference}, rollout).token_log_probs
        metrics = Metrics({"kl/reference": mean_log_ratio(scores.token_log_probs, reference, rollout)})
        return targets.replace(reference_log_probs=jax.device_put(reference)), metrics  # type: ignore[attr-defined]

    def warm_up(
        self,
        params: Params,
        opt_state: OptState,
        rollout: RolloutBatch,
        *,
        key: Key,
        policy_frozen: bool = False,
        reload: Reload | None = None,
    ) -> None:
        """Compiles the functions that `run` needs for rollouts of this size. The numbers in `rollout` do not matter.

        With `reload`, the arrays of `params` and `opt_state` are used up as in `run`.
        """
        params = committed(params)
        rollout = self._prepared(params, rollout)
        indices = minibatches(key, 0, num_chunks=len(rollout.rewards), size=self._config.num_chunks_per_step)[0]
        scores = self._check.scores(params, rollout)
        targets, _ = self._targets(rollout)
        targets, _ = self._with_reference(targets, params, rollout, scores)
        state = self._step.begin(params, opt_state, policy_frozen=policy_frozen, reload=reload)
        self._step(state, rollout, targets, indices)

    def scores(self, params: Params, rollout: RolloutBatch) -> RolloutScores:
        """Returns, on the host, the scores of a rollout under any parameters. No limit is checked."""
        params = committed(params)
        return self._check.scores(params, self._prepared(params, rollout))

    def _prepared(self, params: Params, rollout: RolloutBatch) -> RolloutBatch:
        """Returns the rollout on the device, in the form that `evaluate` reads in every epoch."""
        rollout = jax.device_put(rollout)
        if self._prepare is None:
            return rollout
        return dataclasses.replace(rollout, observation=self._prepare(params, rollout.observation))


def _by_minibatch(prepare: Prepare, *, size: int) -> Prepare:
    """Returns `prepare` for N chunks. It takes `size` chunks at a time, so that it needs no memory for all at once."""

    def prepare_all(params: Params, observation: Tree) -> Tree:
        minibatches = jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), observation)
        prepared = jax.lax.map(lambda minibatch: prepare(params, minibatch), minibatches)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), prepared)

    return prepare_all
