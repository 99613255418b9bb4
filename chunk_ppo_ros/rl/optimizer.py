"""The optimizers of the two parameter groups: separate learning rates, gradient norms and Adam moments."""

from __future__ import annotations

import dataclasses
from typing import Any

import optax

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl.partition import Partition

ACTOR = "actor_backbone"
VALUE = "value_head"

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

    def init(self, params: Any, *, trained: Any = True) -> dict[str, Any]:
        """The optimizer state of what is trained, `{"actor_backbone": ..., "value_head": ...}`.

        Args:
            params: arrays or shapes.
            trained: which of the actor's leaves are, as in `Partition`; there are no moments of the others.

        Raises:
            ValueError: if `params` does not have exactly these two groups.
        """
        if sorted(params) != [ACTOR, VALUE]:
            raise ValueError(f"params must have the groups {ACTOR} and {VALUE}, got {sorted(params)}; wrap the model's")
        actor, _ = Partition(trained).split(params[ACTOR])
        return {ACTOR: self.actor.init(actor), VALUE: self.value.init(params[VALUE])}

    def of(self, group: str) -> optax.GradientTransformation:
        """The transformation of `group`."""
        return {ACTOR: self.actor, VALUE: self.value}[group]


def make_optimizer(config: config_lib.PPOConfig) -> ActorCriticOptimizer:
    """Adam at `learning_rate` and `value_learning_rate`, each group's gradient scaled down to `max_grad_norm`.

    The actor's rate falls linearly to a tenth over `learning_rate_decay_steps` gradient steps, where that is not 0.
    """
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.learning_rate_decay_steps:
        rate = optax.linear_schedule(rate, FINAL_RATE * rate, config.learning_rate_decay_steps)
    return ActorCriticOptimizer(
        actor=_clipped_adam(rate, config.max_grad_norm),
        value=_clipped_adam(config.value_learning_rate, config.max_grad_norm),
    )


def _clipped_adam(learning_rate: optax.ScalarOrSchedule, max_grad_norm: float) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, b1=ADAM_B1, b2=ADAM_B2, eps=ADAM_EPS)
    )
