"""Makes a gymnasium environment from a `ChunkEnv`. One step is one chunk. It needs requirements/experiments.txt."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.types import ChunkOutcome
from experiments.baselines.chunk_basis import ChunkBasis
from experiments.baselines.gaussian_actor import STATE_LIMIT, GaussianObservation, observe


class ChunkGymEnv(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """An environment with the same images, state, chunks, limits and rewards as the token policy's.

    An observation has `images` uint8 [h, w, C * 3] and the normalized `state` float32 [S]. An action is a vector of
    `ChunkBasis`. The `info` of a step has `success`. A refused chunk is a step that moved nothing, with reward 0.

    Args:
        env: environment that executes chunks; the caller closes it.
        basis: conversion between action vectors and chunks.
        config: configuration; the model's sizes and `run.seed` are read.
        first_episode: number of the first training start.
    """

    def __init__(self, env: ChunkEnv, basis: ChunkBasis, config: TrainConfig, *, first_episode: int = 0) -> None:
        model = config.model
        images = (model.image_size, model.image_size, len(model.cameras) * 3)
        self.observation_space = spaces.Dict(
            {
                "images": spaces.Box(0, 255, images, np.uint8),
                "state": spaces.Box(-STATE_LIMIT, STATE_LIMIT, (model.action_dim,), np.float32),
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (basis.size,), np.float32)
        self._env, self._basis = env, basis
        self._run_seed, self._first_episode = config.run.seed, first_episode
        self.next_episode = first_episode
        self._outcomes: list[ChunkOutcome] = []  # of the present episode
        self._episodes: list[EpisodeSummary] = []
        self._robot_state = np.zeros(model.action_dim, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Resets to the next training start of `run.seed`. A given `seed` replaces it and begins at the first start."""
        super().reset(seed=seed)
        if seed is not None:
            self._run_seed, self.next_episode = seed, self._first_episode
        start = seeds.episode_seed(seeds.TRAINING, run_seed=self._run_seed, episode=self.next_episode)
        self.next_episode += 1
        self._outcomes = []
        return self._seen(observe(self._env.reset(seed=start), self._basis)), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Executes one chunk and returns observation, reward, terminated, truncated and info."""
        chunk = self._basis.decode(action, self._robot_state)
        observation, reward, ended, outcome = self._env.step_chunk(chunk)
        self._outcomes.append(outcome)
        if ended:
            self._episodes.append(EpisodeSummary.of(self.next_episode - 1, self._outcomes))
        seen = self._seen(observe(observation, self._basis))
        return seen, float(reward), outcome.terminated, outcome.truncated, {"success": outcome.success}

    def pop_episodes(self) -> list[EpisodeSummary]:
        """Returns the episodes that ended since the last call."""
        popped, self._episodes = self._episodes, []
        return popped

    def _seen(self, observation: GaussianObservation) -> dict[str, np.ndarray]:
        """Returns the policy's inputs and remembers the robot's state, because chunks are relative to it."""
        self._robot_state = observation.robot_state
        return {"images": observation.images, "state": observation.state}
