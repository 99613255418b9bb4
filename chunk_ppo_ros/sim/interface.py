"""What a simulated robot is to the rest of the package.

There is no ROS and no wall clock here. One `step` is one control period; the caller decides when it happens.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.scene import SceneState


@dataclasses.dataclass(frozen=True)
class StepReward:
    """What the task says about one control step.

    Attributes:
        terms: the named parts of the step's reward.
        terminated: the task reached an end state in this step.
        success: the task was solved in this step.
    """

    terms: tuple[RewardTerm, ...]
    terminated: bool
    success: bool


class Simulator(Protocol):
    """A simulated ALOHA with one task.

    Attributes:
        control_rate: control steps per simulated second, Hz.
        camera_names: names of the C cameras, in the order of `render`.
        prompt: the task in words.
    """

    control_rate: float
    camera_names: tuple[str, ...]
    prompt: str

    def reset(self, *, seed: int) -> None:
        """Starts an episode; its start and its task are drawn from `seed` alone."""

    def step(self, target: np.ndarray) -> StepReward:
        """One control period towards `target` [14]: absolute joint angles in rad, grippers normalized 0..1."""

    def state(self) -> np.ndarray:
        """Returns float32 [14]: joint angles in rad, grippers normalized."""

    def joint_velocities(self) -> np.ndarray:
        """Returns float32 [14]: rad/s, grippers in normalized openings per second."""

    def efforts(self) -> np.ndarray | None:
        """Returns float32 [12], the forces on the six joints of the left and then of the right arm, N m.

        Returns None where the simulator computes no forces.
        """

    def scene(self) -> SceneState:
        """Returns the true scene. For tasks, demonstrations and tests, never for the policy."""

    def render(self) -> np.ndarray:
        """Returns uint8 [C, h, w, 3], RGB. Must be called in the thread that made the simulator."""

    def close(self) -> None:
        """Gives back what the simulator holds; it cannot be used afterwards."""
