"""Defines the interface of a simulated robot.

A simulator uses no ROS and no wall clock. One `step` is one control period, and the caller decides when it happens.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.scene import SceneState


@dataclasses.dataclass(frozen=True)
class TaskJudgment:
    """Holds the judgment of the task on one control step or on one chunk.

    Attributes:
        terms: the named parts of the reward.
        terminated: whether the task reached an end state in this time.
        success: whether the task was solved in this time.
    """

    terms: tuple[RewardTerm, ...]
    terminated: bool
    success: bool


class StepReward(TaskJudgment):
    """Holds the judgment of the task on one control step."""


class Simulator(Protocol):
    """Simulates ALOHA with one task.

    Attributes:
        control_rate: the number of control steps per simulated second, Hz.
        camera_names: the names of the C cameras, in the order of `render`.
        prompt: the task in words.
    """

    control_rate: float
    camera_names: tuple[str, ...]
    prompt: str

    def reset(self, *, seed: int, pose: np.ndarray | None = None) -> None:
        """Starts an episode. The start of the robot and of the scene is drawn from `seed` alone.

        Args:
            seed: the seed of the episode, >= 0.
            pose: float [14], a start of the robot that replaces the drawn one, rad and normalized grippers.
        """

    def step(self, target: np.ndarray) -> StepReward:
        """Moves for one control period towards a target, and returns the judgment of the task.

        Args:
            target: float [14], absolute joint angles in rad, grippers normalized to 0..1.
        """

    def state(self) -> np.ndarray:
        """Returns the state, float32 [14], joint angles in rad, grippers normalized."""

    def joint_velocities(self) -> np.ndarray:
        """Returns the velocities, float32 [14], joints in rad/s, grippers in normalized openings per second."""

    def efforts(self) -> np.ndarray | None:
        """Returns float32 [12], the forces on the six joints of the left and then of the right arm, N m.

        Returns None where the simulator computes no forces.
        """

    def scene(self) -> SceneState:
        """Returns the true scene. Tasks, demonstrations and tests read it, but never the policy."""

    def render(self) -> np.ndarray:
        """Returns the RGB images uint8 [C, h, w, 3]. It must be called in the thread that made the simulator."""

    def close(self) -> None:
        """Releases what the simulator holds. The simulator cannot be used afterwards."""
