"""Makes the imitation start of the Gaussian chunk policy by regressing its mean on demonstrated chunks.

The demonstrations are those of the token policy's start. Afterwards each standard deviation is set to the error of the
mean on held-out demonstrations. A maximum-likelihood fit would find the same deviations, but it would weight dimensions
that hardly vary too much.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.normalization import NormStats, compute_norm_stats
from chunk_ppo_ros.sim.experts.demonstrations import Demonstrations
from experiments.baselines.chunk_basis import ChunkBasis
from experiments.baselines.gaussian_network import GaussianChunkPolicy

HELD_OUT = 0.1
"""The share of the demonstrated episodes on which the deviations are measured."""

MIN_STD = 0.01
"""The smallest standard deviation of an action vector's entry. The entry is within -1..1."""

PARAMS_FILE = "policy.msgpack"


@dataclasses.dataclass(frozen=True)
class GaussianStart:
    """A Gaussian chunk policy to start training from.

    Attributes:
        params: parameters of `GaussianChunkPolicy`.
        norm_stats: statistics of the demonstrations.
    """

    params: Any
    norm_stats: NormStats

    def basis(self, config: TrainConfig) -> ChunkBasis:
        """Returns the conversion between its action vectors and chunks."""
        return ChunkBasis(self.norm_stats, config.model)

    def save(self, folder: Path) -> None:
        """Writes the parameters and norm_stats.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.norm_stats.save(folder)
        (folder / PARAMS_FILE).write_bytes(flax.serialization.to_bytes(self.params))

    @classmethod
    def load(cls, folder: Path, config: TrainConfig) -> GaussianStart:
        """Reads what `save` wrote.

        Raises:
            CheckpointError: when the files are missing or do not fit the configuration.
        """
        try:
            norm_stats = NormStats.load(folder)
            basis = ChunkBasis(norm_stats, config.model)
            expected = jax.eval_shape(lambda: init_policy(config, basis, seed=0))
            params = flax.serialization.from_bytes(expected, (folder / PARAMS_FILE).read_bytes())
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{folder} holds no Gaussian start of this configuration: {error}") from error
        return cls(jax.tree.map(jnp.asarray, params), norm_stats)


def make_policy(config: TrainConfig, basis: ChunkBasis) -> GaussianChunkPolicy:
    """Returns the policy network of a configuration."""
    return GaussianChunkPolicy(num_cameras=len(config.model.cameras), num_actions=basis.size)


def init_policy(config: TrainConfig, basis: ChunkBasis, *, seed: int) -> Any:
    """Returns fresh parameters."""
    model = config.model
    images = jnp.zeros((1, model.image_size, model.image_size, len(model.cameras) * 3), jnp.uint8)
    init = jax.jit(make_policy(config, basis).init)  # This compiles one program instead of dozens.
    return init(jax.random.key(seed), images, jnp.zeros((1, model.action_dim)))


def stack_cameras(images: np.ndarray) -> np.ndarray:
    """Returns images [..., C, h, w, 3] as one image with the channels of all cameras, uint8 [..., h, w, C * 3]."""
    moved = np.moveaxis(images, -4, -2)
    return moved.reshape(*moved.shape[:-2], -1)


def regress(
    config: TrainConfig,
    demonstrations: Demonstrations,
    *,
    steps: Collection[int],
    on_step: Callable[[float], object] = lambda loss: None,
) -> dict[int, GaussianStart]:
    """Regresses the mean on demonstrated chunks and fits the deviations.

    Args:
        config: configuration; the model's sizes, `pretrain.bc_batch_size`, `pretrain.bc_learning_rate` and `run.seed`
            are read.
        demonstrations: demonstrations with images.
        steps: gradient steps after which a start is made; the largest one is the end of the schedule.
        on_step: function that is called with each step's loss, the mean squared error of an action vector's entries.

    Returns:
        The starts by their gradient steps.
    """
    transforms = AlohaTransforms.from_config(config.model)
    states = transforms.encode_state(demonstrations.state)
    norm_stats = compute_norm_stats(states, transforms.encode_actions(demonstrations.actions, demonstrations.state))
    basis = ChunkBasis(norm_stats, config.model)
    regression = _Regression(config, basis, num_steps=max(steps))
    batch = Batch(
        stack_cameras(demonstrations.images),
        basis.encode_state(demonstrations.state),
        basis.encode(demonstrations.actions, demonstrations.state),
    )
    held_out = demonstrations.episodes >= (1.0 - HELD_OUT) * len(demonstrations.success)
    rows, random = np.flatnonzero(~held_out), np.random.default_rng(config.run.seed)
    starts = {}
    for number in range(1, max(steps) + 1):
        on_step(regression.step(batch.take(random.choice(rows, config.pretrain.bc_batch_size))))
        if number in steps:
            starts[number] = GaussianStart(regression.with_deviations(batch.take(held_out)), norm_stats)
    return starts


class Batch(NamedTuple):
    """Demonstrated chunks: images uint8 [N, h, w, C * 3], normalized state [N, S] and vectors [N, K * D]."""

    images: np.ndarray
    state: np.ndarray
    vectors: np.ndarray

    def take(self, rows: np.ndarray) -> Batch:
        """Returns the rows of an index or a mask."""
        return Batch(*(column[rows] for column in self))


class _Regression:
    """Trains the mean with AdamW, with warm-up and cosine decay over `num_steps`."""

    def __init__(self, config: TrainConfig, basis: ChunkBasis, *, num_steps: int) -> None:
        policy = make_policy(config, basis)
        peak = config.pretrain.bc_learning_rate
        schedule = optax.warmup_cosine_decay_schedule(0.0, peak, max(1, num_steps // 20), num_steps)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))

        def errors(params: Any, batch: Batch) -> jax.Array:
            mean, _ = policy.apply(params, batch.images, batch.state)
            return mean - batch.vectors

        @jax.jit
        def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any, jax.Array]:
            loss, gradients = jax.value_and_grad(lambda p: jnp.mean(jnp.square(errors(p, batch))))(params)
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        self._params = init_policy(config, basis, seed=config.run.seed)
        self._state = optimizer.init(self._params)
        self._step, self._errors = step, jax.jit(errors)

    def step(self, batch: Batch) -> float:
        """Makes one gradient step and returns its loss."""
        self._params, self._state, loss = self._step(self._params, self._state, batch)
        return float(loss)

    def with_deviations(self, held_out: Batch) -> Any:
        """Returns the present parameters, with deviations that are the errors of their mean."""
        errors = self._errors(self._params, held_out)
        log_std = jnp.log(jnp.maximum(jnp.sqrt(jnp.mean(jnp.square(errors), axis=0)), MIN_STD))
        return {"params": {**self._params["params"], "log_std": log_std}}
