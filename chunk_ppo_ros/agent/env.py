"""Environments whose actions are chunks: `step_chunk(actions) -> next observation, chunk reward, done, outcome`.

The script form trains and evaluates in a `ChunkEnv`. `SimulatorEnv` is one that runs a simulator without ROS. It
applies the limits, the time limit and the sums of rewards that robot_node and reward_node apply in the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol

import numpy as np

from chunk_ppo_ros.config import TASK_SOURCE, TrainConfig
from chunk_ppo_ros.core.errors import ChunksRefused, SettingError
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import ChunkOutcome, Observation, total_reward
from chunk_ppo_ros.rewards.referee import MAX_REFUSALS
from chunk_ppo_ros.rewards.terms import check_settings, chunk_terms
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.safety import check_chunk
from chunk_ppo_ros.sim.chunk_executor import ChunkExecutor
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.simulator import check_control_rate, check_simulator_cameras, make_simulator


class ChunkEnv(Protocol):
    """An environment whose actions are chunks."""

    def reset(self, *, seed: int) -> Observation:
        """Starts an episode and returns its first observation. In a simulator the scene is drawn from `seed`."""

    def step_chunk(self, actions: np.ndarray) -> tuple[Observation, float, bool, ChunkOutcome]:
        """Executes one chunk.

        Args:
            actions: [k, D] with k within 1..H, the steps to execute. They are absolute joint targets in rad, with
                normalized grippers.

        Returns:
            The observation after the chunk, its reward, whether the episode ended, and how the chunk ended. A refused
            chunk executes no step. Nothing has moved then, the episode goes on, and the refused chunk does not count
            toward the time limit. The time limit cuts the chunk in which it is reached.

        Raises:
            ValueError: for a wrong shape or a number that is not finite. Nothing moves then.
            ChunksRefused: after too many refused chunks in a row.
        """


class SimulatorEnv:
    """Runs a simulator as a `ChunkEnv`. The caller closes the simulator."""

    def __init__(self, simulator: Simulator, config: TrainConfig) -> None:
        """Uses `simulator` with the limits of `config.robot` and the time limit of `config.env`.

        Raises:
            SettingError: if the model's cameras, the control rate or the reward sources do not fit the simulator.
            RewardError, RegistryError: for a reward term that cannot be used.
        """
        check_simulator_cameras(config, simulator.camera_names)
        check_control_rate(config, simulator.control_rate)
        check_settings(config.reward)
        if config.reward.sources != (TASK_SOURCE,):
            raise SettingError(
                f"reward.sources must be {TASK_SOURCE} where the simulator is the only source, got "
                f"{', '.join(config.reward.sources) or 'none'}; other sources are nodes: start the graph"
            )
        self._simulator, self._config = simulator, config
        self._executor = ChunkExecutor(simulator, config.robot)
        self._num_steps: int | None = None  # the executed steps of the episode, None between episodes
        self._refusals = 0  # the number of chunks in a row of which no step counts

    def reset(self, *, seed: int) -> Observation:
        """Starts an episode. Its scene depends on `seed` alone."""
        self._executor.reset(seed=seed)
        self._num_steps = 0
        return self._observe()

    def step_chunk(self, actions: np.ndarray) -> tuple[Observation, float, bool, ChunkOutcome]:
        """Executes one chunk, as `ChunkEnv.step_chunk` says.

        A chunk that starts too far from the measured joints is refused. Its outcome then has a fault and no step.
        """
        if self._num_steps is None:
            raise ValueError("step_chunk must follow a reset, got none since the last episode ended; call reset")
        actions = self._checked(actions)
        refusal = self._refusal(actions)
        if refusal is not None:
            return self._observe(), 0.0, False, refusal
        left = self._config.max_episode_steps - self._num_steps
        outcome = self._execute(actions[:left], truncated=len(actions) >= left)
        self._count_refusal("" if outcome.num_steps else outcome.execution.message)
        done = outcome.terminated or outcome.truncated
        self._num_steps = None if done else self._num_steps + outcome.num_steps
        return self._observe(), outcome.reward, done, outcome

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        actions = np.asarray(actions, dtype=float)
        horizon = self._config.model.action_horizon
        if actions.shape[1:] != (aloha.ACTION_DIM,) or not 1 <= len(actions) <= horizon:
            raise ValueError(
                f"actions must have shape (k, {aloha.ACTION_DIM}) with k within 1..{horizon}, got {actions.shape}; "
                "give one target of both arms for each step of the chunk"
            )
        if not np.all(np.isfinite(actions)):
            step, dimension = np.argwhere(~np.isfinite(actions))[0]
            raise ValueError(
                f"actions must be finite, got {actions[step, dimension]} at step {step}, dim {dimension}; look for "
                "the cause in the policy"
            )
        return actions

    def _refusal(self, actions: np.ndarray) -> ChunkOutcome | None:
        times = np.arange(len(actions)) / self._simulator.control_rate
        measured = self._simulator.state().astype(float)
        reason = check_chunk(times, actions, measured=measured, age=0.0, config=self._config.robot)
        if reason is None:
            return None
        self._count_refusal(reason)
        return ChunkOutcome.without_steps(ExecutionResult.nothing(Status.REFUSED, reason))

    def _count_refusal(self, reason: str) -> None:
        """Counts the chunks in a row of which no step counts. The reason is empty where one counts.

        Raises:
            ChunksRefused: for too many.
        """
        self._refusals = self._refusals + 1 if reason else 0
        if self._refusals >= MAX_REFUSALS:
            raise ChunksRefused(
                f"{self._refusals} chunks in a row passed no target, the last by: {reason}; start from a policy whose "
                "chunks begin where the robot is, or raise the limit in simulation"
            )

    def _execute(self, actions: np.ndarray, *, truncated: bool) -> ChunkOutcome:
        execution, reward = self._executor.execute(actions)
        terms = chunk_terms([reward.terms], execution, actions, self._config.reward)
        return ChunkOutcome(
            reward=total_reward(terms),
            reward_terms=terms,
            execution=execution,
            terminated=reward.terminated,
            truncated=truncated and not reward.terminated,
            success=reward.success,
        )

    def _observe(self) -> Observation:
        images = self._simulator.render()
        return Observation(images, np.ones(len(images), bool), self._simulator.state(), self._simulator.prompt)


def check_simulated(config: TrainConfig) -> None:
    """Refuses settings that the simulator, the task or the reward terms do not have, before any work begins.

    Raises:
        SettingError, RewardError, RegistryError: for a setting that does not fit; the text names it.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    with simulated(config):
        pass


def check_rewards(simulator: Simulator, config: TrainConfig) -> None:
    """Refuses reward terms that cannot be computed where the simulator is the only source.

    It computes those of one chunk at rest, because only a chunk has terms. The caller resets the simulator afterwards.

    Raises:
        RewardError, RegistryError: for a setting of the reward that does not fit; the text names it.
    """
    check_settings(config.reward)
    executor = ChunkExecutor(simulator, config.robot)
    executor.reset(seed=config.run.seed)
    actions = simulator.state().astype(float)[None]
    execution, reward = executor.execute(actions)
    chunk_terms([reward.terms], execution, actions, config.reward)


@contextmanager
def simulated(config: TrainConfig) -> Iterator[SimulatorEnv]:
    """Yields the environment of the configured simulator, and closes the simulator at the end of the `with` block.

    Raises:
        SettingError, RewardError, RegistryError: for a setting that does not fit; the text names it.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    with closing(make_simulator(config)) as simulator:
        env = SimulatorEnv(simulator, config)
        check_rewards(simulator, config)
        yield env
