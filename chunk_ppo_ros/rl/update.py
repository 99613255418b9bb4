"""One PPO update: check of the log-probs, advantages, epochs of shuffled minibatches. Shapes are fixed.

Not here: collecting the rollout, counting updates, writing checkpoints and metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.gradient_step import GradientStep, committed
from chunk_ppo_ros.rl.log_prob_check import LogProbCheck
from chunk_ppo_ros.rl.optimizer import ActorCriticOptimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.targets import compute_targets
from chunk_ppo_ros.rl.update_errors import UpdateError
from chunk_ppo_ros.rl.update_metrics import StepMetrics, UpdateMetrics

Progress = Callable[[int, int], object]
Prepare = Callable[[Any, Any], Any]


@dataclasses.dataclass(frozen=True)
class UpdateResult:
    """New parameters, their optimizer state, and what happened on the way."""

    params: Any
    opt_state: Any
    metrics: UpdateMetrics


class PPOUpdate:
    """Makes updates. For rollouts of one size each function compiles once; the step once more with a frozen policy.

    Args:
        evaluate: scores sampled tokens under given parameters.
        optimizer: of the groups `actor_backbone` and `value_head`.
        config: the algorithm.
        trained: which leaves of `actor_backbone` are trained, as in `Partition`. The others are neither copied nor
            returned by a step; there are no gradients and no optimizer state of them. The value head always is.
        prepare: (params, observation of B chunks) -> what `evaluate` takes in the place of the observation; it may read
            frozen parameters only, because it runs once for each chunk of a rollout, before the first step.
        max_logp_gap: limit on |ratio - 1| of a chunk before the first step; that of `config` where it is not given.
    """

    def __init__(
        self,
        evaluate: losses.Evaluate,
        optimizer: ActorCriticOptimizer,
        config: config_lib.PPOConfig,
        *,
        trained: Any = True,
        prepare: Prepare | None = None,
        max_logp_gap: float | None = None,
    ) -> None:
        self._config = config
        self._check = LogProbCheck(
            evaluate,
            batch_size=config.batch_size,
            limit=config.max_logp_gap if max_logp_gap is None else max_logp_gap,
        )
        self._prepare = None if prepare is None else jax.jit(_by_minibatch(prepare, size=config.batch_size))
        self._targets = jax.jit(lambda rollout: compute_targets(rollout, config))
        self._step = GradientStep(evaluate, optimizer, config, trained=trained)

    def run(
        self,
        params: Any,
        opt_state: Any,
        rollout: RolloutBatch,
        *,
        key: jax.Array,
        policy_frozen: bool = False,
        donate: bool = False,
        progress: Progress | None = None,
    ) -> UpdateResult:
        """Trains on one rollout; `params` and `opt_state` are left as they are, unless they are donated.

        Args:
            params: `{"actor_backbone": ..., "value_head": ...}`, those that sampled the rollout.
            opt_state: of `ActorCriticOptimizer.init` for the same trained leaves, or of the update before.
            rollout: N chunks, a multiple of `batch_size`.
            key: shuffles the minibatches; the same key gives the same result.
            policy_frozen: train the value head only; the actor and its optimizer state stand still (critic warm-up).
            donate: use up the trained arrays of `params` and those of `opt_state` instead of copying them, which takes
                half of the memory; after an error in the steps they are gone.
            progress: called as progress(minibatches done, minibatches at most) after each.

        Returns:
            the new parameters and optimizer state, and the metrics.

        Raises:
            LogProbGapError: if the recorded log-probs are not those of `params`.
            UpdateError: if a loss or gradient is not finite.
            ValueError: if N is not a multiple of the batch size.
        """
        num_chunks, batch_size = len(rollout.rewards), self._config.batch_size
        if num_chunks % batch_size:
            raise ValueError(
                f"chunks of a rollout must be a multiple of ppo.batch_size ({batch_size}), got {num_chunks}; "
                "collect ppo.num_chunks_per_update of them"
            )
        params = committed(params)
        rollout = self._prepared(params, rollout)
        scores = self._check(params, rollout)
        if self._config.recompute_log_probs:
            rollout = dataclasses.replace(rollout, token_log_probs=jax.device_put(scores.token_log_probs))
        targets, rollout_metrics = self._targets(rollout)
        state = self._step.begin(params, opt_state, policy_frozen=policy_frozen, donate=donate)
        steps_per_epoch = num_chunks // batch_size
        num_steps = self._config.num_epochs_per_update * steps_per_epoch
        steps: list[StepMetrics] = []
        for epoch in range(self._config.num_epochs_per_update):
            for indices in _minibatches(key, epoch, num_chunks=num_chunks, batch_size=batch_size):
                state, metrics = self._step(state, rollout, targets, indices)
                steps.append(_checked(jax.device_get(metrics), step=len(steps)))
                if progress is not None:
                    progress(len(steps), num_steps)
            if self._past_target_kl(steps[-steps_per_epoch:]):
                break
        update_metrics = UpdateMetrics.collect(
            steps,
            jax.device_get(rollout_metrics),
            scores,
            returns=jax.device_get(targets.returns),
            epochs_done=len(steps) // steps_per_epoch,
        )
        return UpdateResult(params=state.params, opt_state={**opt_state, **state.opt_state}, metrics=update_metrics)

    def warm_up(
        self, params: Any, opt_state: Any, rollout: RolloutBatch, *, key: jax.Array, policy_frozen: bool = False
    ) -> None:
        """Compiles what `run` needs for rollouts of this size; the numbers in `rollout` do not matter."""
        params = committed(params)
        rollout = self._prepared(params, rollout)
        indices = _minibatches(key, 0, num_chunks=len(rollout.rewards), batch_size=self._config.batch_size)[0]
        self._check.measure(params, rollout, indices)
        targets, _ = self._targets(rollout)
        state = self._step.begin(params, opt_state, policy_frozen=policy_frozen, donate=False)
        self._step(state, rollout, targets, indices)

    def _prepared(self, params: Any, rollout: RolloutBatch) -> RolloutBatch:
        """The rollout on the device, as `evaluate` reads it in every epoch."""
        rollout = jax.device_put(rollout)
        if self._prepare is None:
            return rollout
        return dataclasses.replace(rollout, observation=self._prepare(params, rollout.observation))

    def _past_target_kl(self, steps: list[StepMetrics]) -> bool:
        """Whether the approximate KL of an epoch's steps is above `target_kl`, if there is one."""
        target = self._config.target_kl
        return target > 0.0 and float(np.mean([step.loss.approx_kl for step in steps])) > target


def _by_minibatch(prepare: Prepare, *, size: int) -> Prepare:
    """`prepare` on N chunks, `size` at a time, so that the memory for it does not grow with the rollout."""

    def prepare_all(params: Any, observation: Any) -> Any:
        minibatches = jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), observation)
        prepared = jax.lax.map(lambda minibatch: prepare(params, minibatch), minibatches)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), prepared)

    return prepare_all


def _minibatches(key: jax.Array, epoch: int, *, num_chunks: int, batch_size: int) -> np.ndarray:
    """A shuffle of the chunks for each epoch, int [N / B, B]."""
    shuffled = jax.random.permutation(jax.random.fold_in(key, epoch), num_chunks)
    return np.asarray(shuffled).reshape(-1, batch_size)


def _checked(metrics: StepMetrics, *, step: int) -> StepMetrics:
    if not metrics.finite:
        loss = metrics.loss
        raise UpdateError(
            f"loss and gradients must be finite, got policy loss {loss.policy}, value loss {loss.value}, norms "
            f"{metrics.grad_norm_actor} (actor) and {metrics.grad_norm_value} (value) in gradient step {step}; the old "
            "parameters stay in use: lower ppo.learning_rate, or look for a reward that is not finite"
        )
    return metrics
