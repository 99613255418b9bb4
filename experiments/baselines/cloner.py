"""Clones chunks over many rounds, with one compiled step and with optimizer moments that last for the whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch


class Cloner:
    """Trains `params["actor_backbone"]` to imitate chunks. All other parameters stay as they are.

    Args:
        loss: function `loss(params, batch)` that returns the loss of a minibatch, nats per token.
        params: {"actor_backbone": ...} and all other parameters that `loss` reads.
        config: settings; `learning_rate` (constant), `num_epochs_per_update`, `batch_size` and `max_grad_norm` are
            read.
        seed: seed of the order of chunks.

    Attributes:
        params: present parameters.
        state: present state of the optimizer.
    """

    def __init__(
        self, loss: Callable[[Any, CloningBatch], jax.Array], params: Any, *, config: PPOConfig, seed: int
    ) -> None:
        optimizer = optax.chain(
            optax.clip_by_global_norm(config.max_grad_norm),
            optax.adamw(config.learning_rate, b1=0.9, b2=0.95, weight_decay=1e-4),
        )

        @jax.jit
        def step(params: Any, state: Any, minibatch: CloningBatch) -> tuple[Any, Any, jax.Array]:
            def loss_of(actor: Any) -> jax.Array:
                return loss({**params, ACTOR: actor}, minibatch)

            value, gradients = jax.value_and_grad(loss_of)(params[ACTOR])
            updates, state = optimizer.update(gradients, state, params[ACTOR])
            return {**params, ACTOR: optax.apply_updates(params[ACTOR], updates)}, state, value

        self.params = params
        self.state = optimizer.init(params[ACTOR])
        self._step, self._config, self._random = step, config, np.random.default_rng(seed)

    def clone(self, batch: CloningBatch) -> float:
        """Trains on `batch` for some epochs, each in a random order. Returns the mean loss, nats per token."""
        losses = []
        for rows in self.minibatches(len(batch)):
            self.params, self.state, loss = self._step(self.params, self.state, batch.take(rows))
            losses.append(float(loss))
        return float(np.mean(losses))

    def minibatches(self, num_rows: int) -> np.ndarray:
        """Returns the rows of all minibatches, int [steps, batch_size]. An epoch has each row once.

        The last minibatch is filled up with the first rows.
        """
        orders = [self._random.permutation(num_rows) for _ in range(self._config.num_epochs_per_update)]
        order, size = np.concatenate(orders), self._config.batch_size
        return np.resize(order, (-(-len(order) // size), size))
