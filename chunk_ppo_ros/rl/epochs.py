"""Makes passes over a rollout in shuffled minibatches, until all are made or the policy has moved far enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Int

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import Key
from chunk_ppo_ros.rl.gradient_step import GradientStep, StepResult, TrainState
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.targets import Targets
from chunk_ppo_ros.rl.update_errors import UpdateError
from chunk_ppo_ros.rl.update_metrics import metrics_of

Progress = Callable[[int, int], object]
"""The type of a function that is called with the steps done and the largest number of steps."""


@dataclasses.dataclass(frozen=True)
class Passes:
    """The results of the passes over one rollout.

    Attributes:
        state: the state after the last step.
        steps: results of the steps, on the host; at least one.
        epochs_done: number of passes made, of which the last one may have been stopped early.
    """

    state: TrainState
    steps: list[StepResult]
    epochs_done: float

    @property
    def finite(self) -> bool:
        """Whether all losses and gradients were finite. The first one that is not ends the passes."""
        return bool(self.steps[-1].finite)

    def metrics(self) -> Metrics:
        """Returns the metrics of the steps, and the number of passes."""
        made = Metrics({"update/epochs_done": self.epochs_done})
        return metrics_of([step.metrics for step in self.steps]) | made


class Epochs:
    """Makes the passes over one rollout, once for each call of `run`. The same key gives the same minibatches.

    Args:
        step: makes the gradient steps.
        config: PPO settings, of which the number of epochs, the chunks in a step and `target_kl` are read.
        key: source of randomness of the shuffling.
        progress: function that is called with the steps done and the largest number of steps, after each step. Where
            the passes are repeated, it counts on.
    """

    def __init__(
        self, step: GradientStep, config: config_lib.PPOConfig, *, key: Key, progress: Progress | None = None
    ) -> None:
        self._step = step
        self._config = config
        self._key = key
        self._progress = progress
        self._steps_before = 0

    def run(self, state: TrainState, rollout: RolloutBatch, targets: Targets, *, lr_scale: float) -> Passes:
        """Makes all passes from `state`, whose arrays they use up, at the actor's learning rate times `lr_scale`.

        A minibatch whose KL is above `target_kl` before its step is the last one.

        Raises:
            UpdateError: if the loss or a gradient of the first step is not finite.
        """
        config, num_chunks = self._config, len(rollout.rewards)
        steps_per_epoch = num_chunks // config.num_chunks_per_step
        most = self._steps_before + config.num_epochs_per_update * steps_per_epoch
        steps: list[StepResult] = []
        for epoch in range(config.num_epochs_per_update):
            for indices in minibatches(self._key, epoch, num_chunks=num_chunks, size=config.num_chunks_per_step):
                state, on_device = self._step(state, rollout, targets, indices, lr_scale=lr_scale)
                result: StepResult = jax.device_get(on_device)
                steps.append(result)
                if len(steps) == 1:
                    _check_first(result)
                if self._progress is not None:
                    self._progress(self._steps_before + len(steps), most)
                if not result.finite or 0.0 < config.target_kl < result.metrics["kl/k2"]:
                    return self._passes(state, steps, steps_per_epoch)
        return self._passes(state, steps, steps_per_epoch)

    def _passes(self, state: TrainState, steps: list[StepResult], steps_per_epoch: int) -> Passes:
        self._steps_before += len(steps)
        return Passes(state, steps, len(steps) / steps_per_epoch)


def minibatches(key: Key, epoch: int, *, num_chunks: int, size: int) -> Int[np.ndarray, "steps size"]:
    """Returns the shuffled indices of the chunks of one epoch, a row for each of its steps.

    Args:
        key: source of randomness; the same key and epoch give the same minibatches.
        epoch: number of the pass, from 0.
        num_chunks: number of chunks of the rollout, a multiple of `size`.
        size: number of chunks in a step.
    """
    shuffled = jax.random.permutation(jax.random.fold_in(key, epoch), num_chunks)
    return np.asarray(shuffled).reshape(-1, size)


def _check_first(result: StepResult) -> None:
    """Refuses a first step whose loss or gradients are not finite, because a lower learning rate does not help then.

    Raises:
        UpdateError: if the loss or a gradient is not finite.
    """
    if not result.finite:
        names = ("loss/policy", "loss/value", "grad_norm/actor", "grad_norm/value")
        got = ", ".join(f"{name} {result.metrics[name]}" for name in names)
        raise UpdateError(
            f"loss and gradients must be finite, got {got} in the first gradient step; the old parameters stay in use: "
            "look for a reward or an action token that the policy cannot have"
        )
