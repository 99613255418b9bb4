"""Executes action chunks in a simulator as robot_node would on the robot: each target limited, rewards summed."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.safety import TargetLimiter
from chunk_ppo_ros.sim.interface import Simulator


@dataclasses.dataclass(frozen=True)
class ChunkExecution:
    """What came of a chunk.

    Attributes:
        reward_terms: the task's terms, each summed over the executed steps.
        num_steps: executed control steps, fewer than asked where the task ended.
        terminated: the task reached an end state.
        success: the task was solved.
        num_clamped_steps: executed steps in which a target was limited.
        effort: sum over the steps of the mean |effort| of the arm joints, N m; None where the simulator has no forces.
    """

    reward_terms: tuple[RewardTerm, ...]
    num_steps: int
    terminated: bool
    success: bool
    num_clamped_steps: int
    effort: float | None = None

    @property
    def reward(self) -> float:
        """Sum of weight * value over the task's terms."""
        return sum(term.weight * term.value for term in self.reward_terms)


class ChunkExecutor:
    """Sends the targets of chunks to a simulator, within the limits of `RobotConfig`."""

    def __init__(self, simulator: Simulator, config: RobotConfig) -> None:
        self._simulator, self._max_start_jump = simulator, config.max_start_jump
        self._limiter = TargetLimiter(config)
        self._commanded: np.ndarray | None = None

    def reset(self, *, seed: int) -> None:
        """Starts an episode of the simulator."""
        self._simulator.reset(seed=seed)
        self._commanded = None

    def execute(self, actions: np.ndarray) -> ChunkExecution:
        """Sends the targets one by one until the task ends or the chunk does.

        Args:
            actions: [H, 14], H >= 1, absolute joint targets in rad, grippers normalised; finite.
        """
        previous = self._starting_point()
        rewards, num_clamped, efforts = [], 0, []
        for target in actions:
            limited = self._limiter.limit(target, previous, 1.0 / self._simulator.control_rate)
            num_clamped += limited.clamped
            rewards.append(self._simulator.step(limited.target))
            efforts.append(self._simulator.efforts())
            self._commanded = previous = limited.target
            if rewards[-1].terminated:
                break
        return ChunkExecution(
            reward_terms=_sum_terms([reward.terms for reward in rewards]),
            num_steps=len(rewards),
            terminated=rewards[-1].terminated,
            success=rewards[-1].success,
            num_clamped_steps=num_clamped,
            effort=_sum_efforts(efforts),
        )

    def _starting_point(self) -> np.ndarray:
        """What the first step's speed is limited from, as in the chunk player: the last command if the joints obey."""
        measured = self._simulator.state().astype(float)
        if self._commanded is None:
            return measured
        lag = np.abs(self._commanded - measured)[aloha.ARM_INDICES]
        return self._commanded if np.all(lag <= self._max_start_jump) else measured


def _sum_efforts(steps: list[np.ndarray | None]) -> float | None:
    """The mean |effort| of the joints, summed over the steps, N m; None where a step has none."""
    known = [float(np.mean(np.abs(step))) for step in steps if step is not None]
    return sum(known) if len(known) == len(steps) else None


def _sum_terms(steps: list[tuple[RewardTerm, ...]]) -> tuple[RewardTerm, ...]:
    """Terms of the same name added up over the steps, in the order of the first step."""
    totals = {term.name: 0.0 for terms in steps for term in terms}
    for terms in steps:
        for term in terms:
            totals[term.name] += term.value
    weights = {term.name: term.weight for terms in steps for term in terms}
    return tuple(RewardTerm(name, value, weights[name]) for name, value in totals.items())
