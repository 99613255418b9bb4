"""One gradient step on one minibatch, of what is trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.log_prob_check import score
from chunk_ppo_ros.rl.optimizer import ACTOR, VALUE, ActorCriticOptimizer
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.targets import Targets
from chunk_ppo_ros.rl.update_metrics import StepMetrics


@dataclasses.dataclass(frozen=True)
class TrainState:
    """Parameters between the steps of an update.

    Attributes:
        trained: the part that the steps change and use up.
        frozen: the part that they read; nobody's copy.
        opt_state: of the groups that have trained leaves; used up as well.
        partition: what makes one tree of the two parts.
        policy_frozen: whether the value head alone is trained.
    """

    trained: Any
    frozen: Any
    opt_state: dict[str, Any]
    partition: Partition
    policy_frozen: bool

    @property
    def params(self) -> Any:
        """All parameters."""
        return self.partition.join(self.trained, self.frozen)


class GradientStep:
    """Makes steps; compiled once for rollouts of one size, and once more for a frozen policy.

    Args:
        evaluate: scores sampled tokens under given parameters.
        optimizer: of the groups `actor_backbone` and `value_head`.
        config: the algorithm.
        trained: which leaves of `actor_backbone` are trained, as in `Partition`.
    """

    def __init__(
        self,
        evaluate: losses.Evaluate,
        optimizer: ActorCriticOptimizer,
        config: config_lib.PPOConfig,
        *,
        trained: Any,
    ) -> None:
        self._evaluate = evaluate
        self._optimizer = optimizer
        self._config = config
        self._trained = trained
        self._step = jax.jit(self._update, donate_argnums=(0, 1), static_argnames="policy_frozen")

    def begin(self, params: Any, opt_state: Any, *, policy_frozen: bool, donate: bool) -> TrainState:
        """The state before the first step.

        Args:
            params: all of them, committed.
            opt_state: of both groups.
            policy_frozen: train the value head only.
            donate: have the steps use up what they train of `params` and `opt_state`, instead of a copy.
        """
        partition = self._partition(policy_frozen=policy_frozen)
        trained, frozen = partition.split(params)
        groups = (VALUE,) if policy_frozen else (ACTOR, VALUE)
        own = committed if donate else _own_copy
        trained, moving = own((trained, {group: opt_state[group] for group in groups}))
        return TrainState(trained, frozen, moving, partition, policy_frozen)

    def __call__(
        self, state: TrainState, rollout: RolloutBatch, targets: Targets, indices: Any
    ) -> tuple[TrainState, StepMetrics]:
        """The state after one step on the chunks at `indices`, int [B]; the arrays of `state` are used up."""
        trained, opt_state, metrics = self._step(
            state.trained,
            state.opt_state,
            state.frozen,
            rollout,
            targets,
            indices,
            policy_frozen=state.policy_frozen,
        )
        return dataclasses.replace(state, trained=trained, opt_state=opt_state), metrics

    def _partition(self, *, policy_frozen: bool) -> Partition:
        return Partition({ACTOR: False if policy_frozen else self._trained, VALUE: True})

    def _update(
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
        batch = rollout.take(indices)

        def loss(trained: Any) -> tuple[jax.Array, losses.LossMetrics]:
            params = self._partition(policy_frozen=policy_frozen).join(trained, frozen)
            return losses.ppo_loss(
                score(self._evaluate, params, batch),
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


def committed(tree: Any) -> Any:
    """The same arrays, committed to where they are; nothing is copied.

    The results of a step are committed if one of its inputs is (parameters that were restored from a checkpoint), and
    a function would be compiled again for them.
    """
    return jax.tree.map(lambda leaf: jax.device_put(leaf, jnp.asarray(leaf).sharding), tree)


def _own_copy(tree: Any) -> Any:
    """A committed copy that the steps may donate, so that the caller's arrays stay good whatever fails."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf, jnp.asarray(leaf).sharding, may_alias=False), tree)
