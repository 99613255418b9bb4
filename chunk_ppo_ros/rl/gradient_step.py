"""Makes one step of the optimizer on one minibatch, for the trained parameters. The minibatch may be taken in parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int, PyTree

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.arrays import AnyArray, Array, Params, Tree
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.optimizer import ActorCriticOptimizer
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.rl.policy_scores import Evaluate, score
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.targets import Targets
from chunk_ppo_ros.rl.update_metrics import ScalarMetrics, scalar

OptState: TypeAlias = dict[str, Tree]
"""The states of the optimizers by group, as `ActorCriticOptimizer.init` makes them. It may lack a group."""

GradientOf: TypeAlias = Callable[[Params, Array], tuple[tuple[Array, ScalarMetrics], Params]]
"""The type of a function of (trained parameters, indices [B]) that returns ((loss, metrics), gradients)."""

Reload: TypeAlias = Callable[[], tuple[Params, OptState]]
"""The type of a function that returns all parameters and the optimizer state again, equal to the bit."""


@dataclasses.dataclass(frozen=True)
class TrainState:
    """The parameters and the optimizer state between the steps of an update.

    Attributes:
        trained: the parameters that the steps change; a step uses up these arrays.
        frozen: the parameters that the steps only read, which are the caller's arrays and no copy.
        opt_state: state of the groups that have trained leaves; a step uses up these arrays too.
        before: returns `trained` and `opt_state` before the first step, equal to the bit, in arrays that steps may use
            up.
        partition: divides the parameters into the trained and the frozen part.
        policy_frozen: whether only the value head is trained.
    """

    trained: Params
    frozen: Params
    opt_state: OptState
    before: Reload
    partition: Partition
    policy_frozen: bool

    @property
    def params(self) -> Params:
        """The tree of all parameters, trained and frozen."""
        return self.partition.join(self.trained, self.frozen)

    def undone(self) -> TrainState:
        """Returns the state before the first step, equal to the bit, in arrays that steps may use up.

        The arrays of this state are freed first, so that their memory can hold the others.
        """
        for leaf in jax.tree.leaves((self.trained, self.opt_state)):
            leaf.delete()
        trained, opt_state = self.before()
        return dataclasses.replace(self, trained=trained, opt_state=opt_state)


@flax.struct.dataclass
class StepResult:
    """The result of a gradient step, beside the state after it.

    Attributes:
        metrics: metrics of the loss, and of the gradients before clipping.
        finite: whether the loss and the norms of both gradients are finite.
    """

    metrics: ScalarMetrics
    finite: Bool[AnyArray, ""]


class GradientStep:
    """Makes gradient steps. The step is compiled once for rollouts of one size, and once more for a frozen policy.

    Args:
        evaluate: scores sampled tokens under given parameters.
        optimizer: the optimizers of the groups `actor_backbone` and `value_head`.
        config: the PPO settings.
        trained: which leaves of `actor_backbone` are trained, as in `Partition`.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        optimizer: ActorCriticOptimizer,
        config: config_lib.PPOConfig,
        *,
        trained: PyTree[bool],
    ) -> None:
        self._evaluate = evaluate
        self._optimizer = optimizer
        self._config = config
        self._trained = trained
        self._step = jax.jit(self._update, donate_argnums=(0, 1), static_argnames="policy_frozen")

    def begin(
        self, params: Params, opt_state: OptState, *, policy_frozen: bool, reload: Reload | None = None
    ) -> TrainState:
        """Returns the state before the first step.

        Args:
            params: all parameters, committed to their devices.
            opt_state: optimizer states of both groups.
            policy_frozen: whether only the value head is trained.
            reload: returns `params` and `opt_state` again, for `undone`. With it the steps use up the trained arrays of
                `params` and `opt_state` themselves, and no copy of them is kept. Without it the steps use up a copy.
        """
        partition = self._partition(policy_frozen=policy_frozen)
        trained, frozen = partition.split(params)
        groups = (VALUE,) if policy_frozen else (ACTOR, VALUE)
        given = trained, {group: opt_state[group] for group in groups}
        if reload is None:
            own_trained, own_states = _own_copy(given)
            return TrainState(own_trained, frozen, own_states, lambda: _own_copy(given), partition, policy_frozen)
        places = jax.tree.map(lambda leaf: leaf.sharding, given)

        def before() -> tuple[Params, OptState]:
            stored_params, stored_states = reload()
            stored, _ = partition.split(stored_params)
            return jax.tree.map(jax.device_put, (stored, {group: stored_states[group] for group in groups}), places)

        trained, states = committed(given)
        return TrainState(trained, frozen, states, before, partition, policy_frozen)

    def __call__(
        self,
        state: TrainState,
        rollout: RolloutBatch,
        targets: Targets,
        indices: Int[AnyArray, "indices"],
        *,
        lr_scale: float = 1.0,
    ) -> tuple[TrainState, StepResult]:
        """Returns the state after one step on the chunks at `indices`. The arrays of `state` are used up.

        Args:
            state: the state before the step.
            rollout: N chunks, on the device.
            targets: targets of these chunks.
            indices: indices of the step's chunks. The gradient is that of the loss over all of them. It is the sum over
                K = `gradient_accumulation_steps` parts of B chunks, which are computed one after the other.
            lr_scale: factor on the actor's learning rate.
        """
        trained, opt_state, result = self._step(
            state.trained,
            state.opt_state,
            state.frozen,
            rollout,
            targets,
            indices,
            np.float32(lr_scale),
            policy_frozen=state.policy_frozen,
        )
        return dataclasses.replace(state, trained=trained, opt_state=opt_state), result

    def _partition(self, *, policy_frozen: bool) -> Partition:
        return Partition({ACTOR: False if policy_frozen else self._trained, VALUE: True})

    def _update(
        self,
        trained: Params,
        opt_state: OptState,
        frozen: Params,
        rollout: RolloutBatch,
        targets: Targets,
        indices: Int[Array, "indices"],
        lr_scale: Float[Array, ""],
        *,
        policy_frozen: bool,
    ) -> tuple[Params, OptState, StepResult]:
        """Makes the step; the arguments are those of `__call__`, and the fields of the state."""
        partition = self._partition(policy_frozen=policy_frozen)
        counts = losses.Counts.of(
            rollout.token_mask[indices], rollout.policy_mask[indices], rollout.human_mask[indices]
        )

        def loss(trained: Params, part: Array) -> tuple[Array, ScalarMetrics]:
            batch = rollout.take(part)
            inputs = targets.take(part).loss_inputs(batch)
            scores = score(self._evaluate, partition.join(trained, frozen), batch)
            return losses.ppo_loss(scores, inputs, config=self._config, counts=counts)

        total, loss_metrics, gradients = _accumulated(
            jax.value_and_grad(loss, has_aux=True),
            trained,
            indices.reshape(self._config.gradient_accumulation_steps, -1),
        )
        norms = {group: jnp.asarray(optax.tree.norm(gradient)) for group, gradient in gradients.items()}
        trained, opt_state = self._apply(gradients, trained, opt_state, lr_scale)
        finite = jnp.all(jnp.isfinite(jnp.stack([total, norms[ACTOR], norms[VALUE]])))
        norm_metrics = {"grad_norm/actor": scalar(norms[ACTOR]), "grad_norm/value": scalar(norms[VALUE])}
        return trained, opt_state, StepResult(loss_metrics | ScalarMetrics(norm_metrics), finite)

    def _apply(
        self, gradients: Params, trained: Params, opt_state: OptState, lr_scale: Float[Array, ""]
    ) -> tuple[Params, OptState]:
        """Returns the parameters and the optimizer state of the groups in `opt_state` after a step by the gradients."""
        for group, state in opt_state.items():
            updates, state = self._optimizer.of(group).update(gradients[group], state, trained[group])
            if group == ACTOR:
                updates = jax.tree.map(lambda update: lr_scale * update, updates)
            trained = {**trained, group: optax.apply_updates(trained[group], updates)}
            opt_state = {**opt_state, group: state}
        return trained, opt_state


def _accumulated(
    gradient_of: GradientOf, trained: Params, parts: Int[Array, "K B"]
) -> tuple[Float[Array, ""], ScalarMetrics, Params]:
    """Returns loss, metrics and gradients summed over K parts. It needs memory for the activations of one part only."""
    if len(parts) == 1:
        (loss, metrics), gradients = gradient_of(trained, parts[0])
        return loss, metrics, gradients

    def add(gradients: Params, part: Array) -> tuple[Params, tuple[Array, ScalarMetrics]]:
        loss_and_metrics, part_gradients = gradient_of(trained, part)
        return jax.tree.map(jnp.add, gradients, part_gradients), loss_and_metrics

    gradients, (part_losses, metrics) = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, trained), parts)
    return jnp.sum(part_losses), metrics.joined(), gradients


def committed(tree: Tree) -> Tree:
    """Returns the same arrays, committed to the devices that they are on. Nothing is copied.

    The results of a step are committed if one of its inputs is, for example parameters from a checkpoint. Without this,
    a function would be compiled once for inputs that are not committed and again for those that are.
    """
    return jax.tree.map(lambda leaf: jax.device_put(leaf, jnp.asarray(leaf).sharding), tree)


def _own_copy(tree: Tree) -> Tree:
    """Returns a committed copy that the steps may use up, so that the caller's arrays stay valid whatever fails."""
    return jax.tree.map(lambda leaf: _copy_to(leaf, jnp.asarray(leaf).sharding), tree)


def _copy_to(leaf: AnyArray, sharding: jax.sharding.Sharding) -> Array:
    return jax.device_put(leaf, sharding, may_alias=False)
