"""Makes the optimizers of the two parameter groups, with separate learning rates, gradient norms and Adam moments."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.arrays import Scalar, ShapeTree, Tree
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.rl.partition import Partition

LR_SCALE = "rate_scale"
"""The key in the optimizer state of the factor on the actor's learning rate, which is 1 unless updates were undone.

Checkpoints since 0.1.0 have this key, and so has the metric `update/rate_scale`.
"""

ADAM_B1 = 0.9
ADAM_B2 = 0.95
ADAM_EPS = 1e-8
FINAL_RATE = 0.1
"""The factor on the actor's learning rate after its decay."""


@dataclasses.dataclass(frozen=True)
class ActorCriticOptimizer:
    """One `optax.GradientTransformation` for each group, so that one group can be frozen while the other is trained.

    Attributes:
        actor: the transformation for `params["actor_backbone"]`.
        value: the transformation for `params["value_head"]`.
    """

    actor: optax.GradientTransformation
    value: optax.GradientTransformation

    def init(self, params: ShapeTree, *, trained: PyTree[bool] = True) -> dict[str, Tree]:
        """Returns the optimizer state of the trained parameters by group, and the number 1 under the key `LR_SCALE`.

        Args:
            params: the tree of both groups, of arrays or shapes.
            trained: which of the actor's leaves are trained, as in `Partition`; the state has no moments of the others.

        Raises:
            ValueError: if `params` does not have exactly these two groups.
        """
        if sorted(params) != [ACTOR, VALUE]:
            raise ValueError(f"params must have the groups {ACTOR} and {VALUE}, got {sorted(params)}; wrap the model's")
        actor, _ = Partition(trained).split(params[ACTOR])
        return {
            ACTOR: self.actor.init(actor),
            VALUE: self.value.init(params[VALUE]),
            LR_SCALE: jnp.ones((), jnp.float32),
        }

    def of(self, group: str) -> optax.GradientTransformation:
        """Returns the transformation of `group`, which is `ACTOR` or `VALUE`."""
        return {ACTOR: self.actor, VALUE: self.value}[group]


def make_optimizer(config: config_lib.PPOConfig) -> ActorCriticOptimizer:
    """Returns Adam for each group, at `learning_rate` for the actor and `value_learning_rate` for the value head.

    Each group's gradient is scaled down to the norm `max_grad_norm` where it is larger. The actor's rate rises linearly
    over `learning_rate_warmup_steps` steps of the optimizer, and the first step is made at 1 / steps of it. Then it
    falls linearly to a tenth over `learning_rate_decay_steps`. A number of 0 turns off the rise or the fall.
    """
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.learning_rate_decay_steps:
        rate = optax.linear_schedule(rate, FINAL_RATE * rate, config.learning_rate_decay_steps)
    if config.learning_rate_warmup_steps:
        rate = _warmed_up(rate, config.learning_rate_warmup_steps)
    return ActorCriticOptimizer(
        actor=_clipped_adam(rate, config.max_grad_norm),
        value=_clipped_adam(config.value_learning_rate, config.max_grad_norm),
    )


def _clipped_adam(learning_rate: optax.ScalarOrSchedule, max_grad_norm: float) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, b1=ADAM_B1, b2=ADAM_B2, eps=ADAM_EPS)
    )


def _warmed_up(rate: optax.ScalarOrSchedule, steps: int) -> optax.Schedule:
    """Returns the schedule `rate` delayed by `steps` steps, during which the rate rises linearly to its first value."""
    after: optax.Schedule = rate if callable(rate) else optax.constant_schedule(float(rate))
    first = float(after(0))

    def rise(count: Scalar) -> Scalar:
        return first * (count + 1) / steps

    return optax.join_schedules([rise, after], [steps])
