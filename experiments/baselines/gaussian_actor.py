"""The Gaussian chunk policy with the interface that `evaluate_actor` needs."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import Observation
from experiments.baselines.chunk_basis import ChunkBasis
from experiments.baselines.gaussian_imitation import make_policy, stack_cameras

STATE_LIMIT = 10.0
"""The bound on the entries of a normalized state, whose 1 % and 99 % quantiles are -1 and 1."""


@dataclasses.dataclass(frozen=True)
class GaussianObservation:
    """The inputs of the networks, and the state that a chunk is relative to.

    Attributes:
        images: uint8 [h, w, C * 3], RGB of one camera after the other.
        state: float32 [S], normalized state.
        robot_state: float32 [S], rad, grippers normalized.
    """

    images: np.ndarray
    state: np.ndarray
    robot_state: np.ndarray


@dataclasses.dataclass(frozen=True)
class GaussianChunk:
    """A chunk of which all steps are executed. Every action vector stands for a chunk, so all are `valid`.

    Attributes:
        asked_actions: float32 [H, D], absolute joint targets in rad, grippers normalized.
        valid: always true.
    """

    asked_actions: np.ndarray
    valid: bool = True


def observe(observation: Observation, basis: ChunkBasis) -> GaussianObservation:
    """Returns the observation as the networks see it."""
    return GaussianObservation(
        images=stack_cameras(observation.images),
        state=np.clip(basis.encode_state(observation.state), -STATE_LIMIT, STATE_LIMIT),
        robot_state=np.asarray(observation.state, np.float32),
    )


class GaussianActor:
    """Samples chunks or takes the mean.

    Args:
        config: configuration; the model's sizes and `run.seed` are read.
        basis: conversion between action vectors and chunks.
        params: parameters of `GaussianChunkPolicy`.
        greedy: whether to take the mean instead of sampling.
    """

    def __init__(self, config: TrainConfig, basis: ChunkBasis, params: Any, *, greedy: bool = False) -> None:
        self.params = params
        self.greedy = greedy
        self._basis = basis
        self._key = jax.random.key(config.run.seed)
        policy: Any = make_policy(config, basis)

        @jax.jit
        def vector(params: Any, images: jax.Array, state: jax.Array, key: jax.Array) -> jax.Array:
            mean, log_std = policy.apply(params, images[None], state[None])
            noise = jnp.zeros_like(log_std) if greedy else jax.random.normal(key, log_std.shape)
            return mean[0] + jnp.exp(log_std) * noise

        self._vector = vector

    def observe(self, observation: Observation) -> GaussianObservation:
        """Returns the observation as the networks see it."""
        return observe(observation, self._basis)

    def act(self, observation: GaussianObservation, *, sequence_number: int) -> GaussianChunk:
        """Returns a chunk. The same seed, weights, observation and sequence number give the same chunk."""
        key = jax.random.fold_in(self._key, sequence_number)
        vector = np.asarray(self._vector(self.params, observation.images, observation.state, key))
        return GaussianChunk(self._basis.decode(vector, observation.robot_state))
