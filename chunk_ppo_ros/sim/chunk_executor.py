"""Executes action chunks in a simulator as robot_node does on the robot: it limits each target, and sums rewards."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.measurements import ExecutedStep, Measurer
from chunk_ppo_ros.robot.safety import LimitedTarget, TargetLimiter
from chunk_ppo_ros.sim.chunk_rewards import ChunkReward, ChunkRewards
from chunk_ppo_ros.sim.interface import Simulator


class ChunkExecutor:
    """Sends the targets of chunks to a simulator, within the limits of `RobotConfig`."""

    def __init__(self, simulator: Simulator, config: RobotConfig) -> None:
        """Uses `simulator` with the limits of `config`.

        Raises:
            RegistryError: for a measurement of another package that cannot be used.
        """
        self._simulator, self._max_start_jump = simulator, config.max_start_jump
        self._limiter = TargetLimiter(config)
        self._rewards = ChunkRewards()
        self._measurer = Measurer()
        self._commanded: np.ndarray | None = None

    def reset(self, *, seed: int) -> None:
        """Starts an episode of the simulator."""
        self._simulator.reset(seed=seed)
        self._rewards.reset()
        self._commanded = None

    def execute(self, actions: np.ndarray) -> tuple[ExecutionResult, ChunkReward]:
        """Sends the targets one by one until the task or the chunk ends.

        Args:
            actions: float [H, 14] with H >= 1, finite absolute joint targets in rad, grippers normalized.

        Returns:
            The result of the execution, with efforts in N m, and the judgment of the task.
        """
        previous, period = self._starting_point(), 1.0 / self._simulator.control_rate
        limited, steps = [], []
        self._rewards.begin()
        for target in actions:
            limited.append(self._limiter.limit(target, previous, period))
            self._commanded = previous = limited[-1].target
            reward = self._simulator.step(previous)
            self._rewards.add(reward)
            steps.append(ExecutedStep(target, previous, self._simulator.state().astype(float), self._effort()))
            if reward.terminated:
                break
        result = _result(limited, steps, period)
        return dataclasses.replace(result, measurements=self._measurer.measure(steps)), self._rewards.finish()

    def _effort(self) -> float | None:
        """Returns the mean |effort| of the arm joints after the last step, N m, or None where it is unknown."""
        efforts = self._simulator.efforts()
        return None if efforts is None else float(np.mean(np.abs(efforts)))

    def _starting_point(self) -> np.ndarray:
        """Returns the position from which the first step's speed is limited, as in the chunk player.

        It is the last command where the joints have followed it, otherwise the measured position.
        """
        measured = self._simulator.state().astype(float)
        if self._commanded is None:
            return measured
        lag = np.abs(self._commanded - measured)[aloha.ARM_INDICES]
        return self._commanded if np.all(lag <= self._max_start_jump) else measured


def _result(limited: list[LimitedTarget], steps: list[ExecutedStep], period: float) -> ExecutionResult:
    return ExecutionResult(
        status=Status.EXECUTED,
        num_steps=len(limited),
        max_clamp=max(one.max_clamp for one in limited),
        effort=_sum_efforts([step.effort for step in steps]),
        duration=len(limited) * period,
        commanded=np.array([one.target for one in limited], np.float32),
        causes=np.array([one.causes for one in limited], np.uint8),
    )


def _sum_efforts(efforts: list[float | None]) -> float | None:
    """Returns the sum of the mean |effort| of each step, N m, or None where a step has none."""
    known = [effort for effort in efforts if effort is not None]
    return sum(known) if len(known) == len(efforts) else None
