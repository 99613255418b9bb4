"""Executes action chunks in a simulator as robot_node does on the robot: it limits each target, and sums rewards."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot.gate.commands import LimitedTarget, Room
from chunk_ppo_ros.robot.gate.gate import ChunkEnding, Gate
from chunk_ppo_ros.robot.measurements import ExecutedStep, Measurer
from chunk_ppo_ros.sim.chunk_rewards import ChunkReward, ChunkRewards
from chunk_ppo_ros.sim.interface import Simulator


class ChunkExecutor:
    """Sends the targets of chunks to a simulator, within the limits of `RobotConfig`."""

    def __init__(self, simulator: Simulator, config: RobotConfig) -> None:
        """Uses `simulator` with the limits of `config`.

        Raises:
            RegistryError: for a measurement of another package that cannot be used.
        """
        self._simulator = simulator
        self._gate = Gate(config)
        self._rewards = ChunkRewards()
        self._measurer = Measurer()

    def reset(self, *, seed: int) -> None:
        """Starts an episode of the simulator."""
        self._simulator.reset(seed=seed)
        self._rewards.reset()
        self._gate.release()

    def execute(self, actions: np.ndarray) -> tuple[ExecutionResult, ChunkReward]:
        """Sends the targets one by one until the task or the chunk ends.

        Args:
            actions: float [H, 14] with H >= 1, finite absolute joint targets in rad, grippers normalized.

        Returns:
            The result of the execution, with efforts in N m, and the judgment of the task.
        """
        start_error = self._gate.anchor(self._simulator.state().astype(float))
        limited: list[LimitedTarget] = []
        steps: list[ExecutedStep] = []
        ending: ChunkEnding | None = None
        self._rewards.begin()
        while ending is None:
            left = actions[min(len(steps), len(actions) - 1) :]
            limited.append(self._gate.send(left[0], now=None, room=Room.of(left)))
            reward = self._simulator.step(limited[-1].target)
            self._rewards.add(reward)
            measured = self._simulator.state().astype(float)
            steps.append(ExecutedStep(left[0], limited[-1].target, measured, self._effort()))
            commanded = [one.target for one in limited]
            ending = ChunkEnding(Status.EXECUTED) if reward.terminated else self._gate.ending(actions, commanded)
        # A step that ends the task counts, although the robot may be on its way to the first target.
        num_steps = max(self._gate.num_passed(actions, commanded), int(reward.terminated))
        result = _result(ending, limited, steps, period=1.0 / self._simulator.control_rate)
        result = dataclasses.replace(
            result,
            num_steps=num_steps,
            start_error=start_error,
            measurements=self._measurer.measure(steps),
        )
        return result, self._rewards.finish()

    def _effort(self) -> float | None:
        """Returns the mean |effort| of the arm joints after the last step, N m, or None where it is unknown."""
        efforts = self._simulator.efforts()
        return None if efforts is None else float(np.mean(np.abs(efforts)))


def _result(
    ending: ChunkEnding, limited: list[LimitedTarget], steps: list[ExecutedStep], *, period: float
) -> ExecutionResult:
    return ExecutionResult(
        status=ending.status,
        message=ending.message,
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
