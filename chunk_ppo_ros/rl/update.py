"""One PPO update: check of the log-probs, advantages, epochs of shuffled minibatches. Shapes are fixed.

Not here: collecting the rollout, counting updates, writing checkpoints and metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.errors import UserError
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.gae import gae
from chunk_ppo_ros.rl.optimizer import ACTOR, VALUE, ActorCriticOptimizer
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.update_metrics import RolloutMetrics, StepMetrics, UpdateMetrics

Progress = Callable[[int, int], object]
Prepare = Callable[[Any, Any], Any]


class UpdateError(UserError):
    """An update could not be made; the parameters that went in are still good."""


class LogProbGapError(UpdateError):
    """The log-probs recorded while sampling are not those of the parameters that are to be trained.

    Attributes:
        gap: largest |ratio - 1| of a chunk before the first gradient step.
        sequence_number: of the chunk in which it is.
    """

    def __init__(self, *, gap: float, limit: float, sequence_number: int) -> None:
        super().__init__(
            f"|ratio - 1| before the first gradient step must be at most {limit:g} (ppo.max_logp_gap), got {gap:g} in "
            f"chunk {sequence_number}; the chunk was sampled with other weights, another temperature or another "
            "constraint than the trainer uses, so nothing was trained"
        )
        self.gap = gap
        self.sequence_number = sequence_number


@dataclasses.dataclass(frozen=True)
class UpdateResult:
    """New parameters, their optimizer state, and what happened on the way."""

    params: Any
    opt_state: Any
    metrics: UpdateMetrics


@flax.struct.dataclass
class Targets:
    """What the losses aim at: advantages [N], normalised where the configuration says so, and returns [N]."""

    advantages: jax.Array
    returns: jax.Array


def compute_targets(rollout: RolloutBatch, config: config_lib.PPOConfig) -> tuple[Targets, RolloutMetrics]:
    """GAE over the rollout and the figures that describe it."""
    advantages, returns = gae(
        rewards=rollout.rewards,
        discounts=rollout.discounts,
        values=rollout.values,
        next_values=rollout.next_values,
        terminated=rollout.terminated,
        segment_end=rollout.segment_end,
        gae_lambda=config.gae_lambda,
    )
    metrics = RolloutMetrics(
        explained_variance=1.0 - jnp.var(returns - rollout.values) / jnp.var(returns),
        value_mean=jnp.mean(rollout.values),
        return_mean=jnp.mean(returns),
        advantage_std=jnp.std(advantages),
        reward_mean=jnp.mean(rollout.rewards),
        reward_std=jnp.std(rollout.rewards),
        reward_min=jnp.min(rollout.rewards),
        reward_max=jnp.max(rollout.rewards),
        tokens_per_chunk=jnp.mean(jnp.sum(rollout.token_mask, axis=-1)),
        invalid_fraction=jnp.mean(~rollout.valid),
    )
    if config.normalize_advantages:
        advantages = losses.normalize(advantages, rollout.policy_mask)
    return Targets(advantages=advantages, returns=returns), metrics


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
    """

    def __init__(
        self,
        evaluate: losses.Evaluate,
        optimizer: ActorCriticOptimizer,
        config: config_lib.PPOConfig,
        *,
        trained: Any = True,
        prepare: Prepare | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._optimizer = optimizer
        self._config = config
        self._all_trained = Partition({ACTOR: trained, VALUE: True})
        self._prepare = None if prepare is None else jax.jit(_by_minibatch(prepare, size=config.batch_size))
        self._targets = jax.jit(lambda rollout: compute_targets(rollout, config))
        self._gaps = jax.jit(self._minibatch_gaps)
        self._step = jax.jit(self._minibatch_step, donate_argnums=(0, 1), static_argnames="policy_frozen")

    def run(
        self,
        params: Any,
        opt_state: Any,
        rollout: RolloutBatch,
        *,
        key: jax.Array,
        policy_frozen: bool = False,
        progress: Progress | None = None,
    ) -> UpdateResult:
        """Trains on one rollout; `params` and `opt_state` are left as they are.

        Args:
            params: `{"actor_backbone": ..., "value_head": ...}`, those that sampled the rollout.
            opt_state: of `ActorCriticOptimizer.init` for the same trained leaves, or of the update before.
            rollout: N chunks, a multiple of `batch_size`.
            key: shuffles the minibatches; the same key gives the same result.
            policy_frozen: train the value head only; the actor and its optimizer state stand still (critic warm-up).
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
        params = _committed(params)
        rollout = self._prepared(params, rollout)
        max_gap, max_token_gap = self._check_log_probs(params, rollout)
        targets, rollout_metrics = self._targets(rollout)
        partition = self._partition(policy_frozen=policy_frozen)
        trained, frozen = partition.split(params)
        trained, moving = _own_copy((trained, _of_groups(opt_state, policy_frozen=policy_frozen)))
        steps_per_epoch = num_chunks // batch_size
        num_steps = self._config.num_epochs_per_update * steps_per_epoch
        steps: list[StepMetrics] = []
        for epoch in range(self._config.num_epochs_per_update):
            for indices in _minibatches(key, epoch, num_chunks=num_chunks, batch_size=batch_size):
                trained, moving, metrics = self._step(
                    trained, moving, frozen, rollout, targets, indices, policy_frozen=policy_frozen
                )
                steps.append(_checked(jax.device_get(metrics), step=len(steps)))
                if progress is not None:
                    progress(len(steps), num_steps)
            if self._past_target_kl(steps[-steps_per_epoch:]):
                break
        update_metrics = UpdateMetrics.collect(
            steps,
            jax.device_get(rollout_metrics),
            logp_gap_max_ratio=max_gap,
            logp_gap_token_max=max_token_gap,
            epochs_done=len(steps) // steps_per_epoch,
        )
        return UpdateResult(
            params=partition.join(trained, frozen), opt_state={**opt_state, **moving}, metrics=update_metrics
        )

    def warm_up(
        self, params: Any, opt_state: Any, rollout: RolloutBatch, *, key: jax.Array, policy_frozen: bool = False
    ) -> None:
        """Compiles what `run` needs for rollouts of this size; the numbers in `rollout` do not matter."""
        params = _committed(params)
        rollout = self._prepared(params, rollout)
        indices = _minibatches(key, 0, num_chunks=len(rollout.rewards), batch_size=self._config.batch_size)[0]
        self._gaps(params, rollout, indices)
        targets, _ = self._targets(rollout)
        trained, frozen = self._partition(policy_frozen=policy_frozen).split(params)
        trained, moving = _own_copy((trained, _of_groups(opt_state, policy_frozen=policy_frozen)))
        self._step(trained, moving, frozen, rollout, targets, indices, policy_frozen=policy_frozen)

    def _partition(self, *, policy_frozen: bool) -> Partition:
        return Partition({ACTOR: False, VALUE: True}) if policy_frozen else self._all_trained

    def _prepared(self, params: Any, rollout: RolloutBatch) -> RolloutBatch:
        """The rollout on the device, as `evaluate` reads it in every epoch."""
        rollout = jax.device_put(rollout)
        if self._prepare is None:
            return rollout
        return dataclasses.replace(rollout, observation=self._prepare(params, rollout.observation))

    def _check_log_probs(self, params: Any, rollout: RolloutBatch) -> tuple[float, float]:
        """Largest |ratio - 1| of a chunk and largest |difference| of a token, nats; refuses too large a gap."""
        minibatches = np.arange(len(rollout.rewards)).reshape(-1, self._config.batch_size)
        gaps = [self._gaps(params, rollout, indices) for indices in minibatches]
        chunk_gaps, token_gaps = (np.concatenate(parts) for parts in zip(*jax.device_get(gaps), strict=True))
        worst = int(np.argmax(chunk_gaps))  # numpy's argmax and max take NaN for the largest
        if not chunk_gaps[worst] <= self._config.max_logp_gap:
            raise LogProbGapError(
                gap=float(chunk_gaps[worst]),
                limit=self._config.max_logp_gap,
                sequence_number=int(rollout.sequence_number[worst]),
            )
        return float(chunk_gaps[worst]), float(np.max(token_gaps))

    def _minibatch_gaps(self, params: Any, rollout: RolloutBatch, indices: jax.Array) -> tuple[jax.Array, jax.Array]:
        """|ratio - 1| of each chunk and the largest |new - old| of its token log-probs, [B] each."""
        batch = rollout.take(indices)
        new_log_probs = self._score(params, batch).token_log_probs
        log_ratio = losses.chunk_log_ratio(new_log_probs, batch.token_log_probs, batch.token_mask)
        token_gaps = jnp.where(batch.token_mask, jnp.abs(new_log_probs - batch.token_log_probs), 0.0)
        return jnp.abs(jnp.exp(log_ratio) - 1.0), jnp.max(token_gaps, axis=-1)

    def _minibatch_step(
        self,
        trained: Any,
        opt_state: Any,
        frozen: Any,
        rollout: RolloutBatch,
        targets: Targets,
        indices: jax.Array,
        *,
        policy_frozen: bool,
    ) -> tuple[Any, Any, StepMetrics]:
        """One gradient step of the trained leaves, with the optimizer state of the groups that have some."""
        batch = rollout.take(indices)

        def loss(trained: Any) -> tuple[jax.Array, losses.LossMetrics]:
            params = self._partition(policy_frozen=policy_frozen).join(trained, frozen)
            return losses.ppo_loss(
                self._score(params, batch),
                old_log_probs=batch.token_log_probs,
                token_mask=batch.token_mask,
                policy_mask=batch.policy_mask,
                advantages=targets.advantages[indices],
                returns=targets.returns[indices],
                config=self._config,
            )

        (total, loss_metrics), gradients = jax.value_and_grad(loss, has_aux=True)(trained)
        norms = {group: jnp.asarray(optax.tree.norm(gradient)) for group, gradient in gradients.items()}
        for group, state in opt_state.items():
            updates, state = self._optimizer.of(group).update(gradients[group], state, trained[group])
            trained = {**trained, group: optax.apply_updates(trained[group], updates)}
            opt_state = {**opt_state, group: state}
        finite = jnp.all(jnp.isfinite(jnp.stack([total, norms[ACTOR], norms[VALUE]])))
        metrics = StepMetrics(
            loss=loss_metrics, grad_norm_actor=norms[ACTOR], grad_norm_value=norms[VALUE], finite=finite
        )
        return trained, opt_state, metrics

    def _score(self, params: Any, batch: RolloutBatch) -> losses.Evaluation:
        return self._evaluate(
            params,
            batch.observation,
            batch.action_tokens,
            batch.token_mask,
            temperature=batch.temperature,
            actions=batch.actions,
        )

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


def _of_groups(opt_state: Any, *, policy_frozen: bool) -> dict[str, Any]:
    """The optimizer state of the groups that a step trains."""
    return {group: opt_state[group] for group in ((VALUE,) if policy_frozen else (ACTOR, VALUE))}


def _committed(tree: Any) -> Any:
    """The same arrays, committed to where they are; nothing is copied.

    The results of a step are committed if one of its inputs is (parameters that were restored from a checkpoint), and
    a function would be compiled again for them.
    """
    return jax.tree.map(lambda leaf: jax.device_put(leaf, jnp.asarray(leaf).sharding), tree)


def _own_copy(tree: Any) -> Any:
    """A committed copy that the steps may donate, so that the caller's arrays stay good whatever fails."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf, jnp.asarray(leaf).sharding, may_alias=False), tree)


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
