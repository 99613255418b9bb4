"""The optimizers of the two parameter groups: separate learning rates, gradient norms and Adam moments."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.arrays import Scalar, ShapeTree, Tree
from chunk_ppo_ros.rl.partition import Partition

ACTOR = "actor_backbone"
VALUE = "value_head"
LR_SCALE = "rate_scale"
"""Key of the factor on the actor's learning rate in the optimizer state, which is 1 unless updates were undone.

The text of the key is that of the checkpoints since 0.1.0, and of the metric `update/rate_scale`.
"""

ADAM_B1 = 0.9
ADAM_B2 = 0.95
ADAM_EPS = 1e-8
FINAL_RATE = 0.1
"""What is left of the actor's learning rate after its decay."""


@dataclasses.dataclass(frozen=True)
class ActorCriticOptimizer:
    """One `optax.GradientTransformation` a group, so that one group can stand still while the other learns.

    Attributes:
        actor: for `params["actor_backbone"]`.
        value: for `params["value_head"]`.
    """

    actor: optax.GradientTransformation
    value: optax.GradientTransformation

    def init(self, params: ShapeTree, *, trained: PyTree[bool] = True) -> dict[str, Tree]:
        """Returns the optimizer state of what is trained by group, and under `LR_SCALE` the number 1.

        Args:
            params: arrays or shapes.
            trained: which of the actor's leaves are trained, as in `Partition`; there are no moments of the others.

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
    """Returns Adam at `learning_rate` and `value_learning_rate`, each group's gradient scaled down to `max_grad_norm`.

    The actor's rate rises linearly over `learning_rate_warmup_steps` steps of the optimizer, the first of which is
    made at a rate of 1 / steps, and then falls linearly to a tenth over `learning_rate_decay_steps`, where these are
    not 0.
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
    """The schedule `rate`, which begins `steps` steps late, after a linear rise to it."""
    after: optax.Schedule = rate if callable(rate) else optax.constant_schedule(float(rate))
    first = float(after(0))

    def rise(count: Scalar) -> Scalar:
        return first * (count + 1) / steps

    return optax.join_schedules([rise, after], [steps])
