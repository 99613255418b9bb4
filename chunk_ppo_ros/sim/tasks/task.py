"""What a task is: written once for all simulators. It says what is drawn at a reset, and what a control step is worth.

A task holds no state. Rewards are differences of a potential between two scenes, so that a step's reward is a function
of the scene before and after it, and an episode's sum tells how far it came. The time limit is counted by the caller.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.expert import Expert
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, SceneObject, SceneState

START_NOISE = 0.02  # rad, largest deviation of each arm joint from the start pose

TaskSceneT = TypeVar("TaskSceneT")
"""The scene as one task sees it; a dataclass of that task."""


class Task(Protocol[TaskSceneT]):
    """A task. A class that inherits from this one needs no `make_expert` where it has no scripted expert.

    Attributes:
        name: the task's name, for messages.
        prompt: the instruction; it must not tell what only the cameras may show.
        objects: what it wants in the scene besides the robot.
    """

    name: str
    prompt: str
    objects: tuple[SceneObject, ...]

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns a random layout; it places every one of `objects`."""

    def observe(self, scene: SceneState) -> TaskSceneT:
        """Returns the scene as this task sees it.

        Raises:
            ValueError: where the scene lacks an object of the task.
        """

    def step_reward(self, before: TaskSceneT, after: TaskSceneT) -> StepReward:
        """Returns what one control step from `before` to `after` is worth."""

    def make_expert(self, config: TrainConfig) -> Expert[TaskSceneT] | None:
        """Returns the scripted expert that demonstrates the task; None where there is none."""
        return None


@dataclasses.dataclass(frozen=True)
class EpisodeStart:
    """How an episode starts: the robot's state [14], rad and normalized grippers, and the layout of the scene."""

    state: np.ndarray
    layout: EpisodeLayout


def sample_start(task: Task[TaskSceneT], *, seed: int, noise: float = START_NOISE) -> EpisodeStart:
    """Draws the start of an episode from `seed` alone; robot and scene have generators of their own.

    Args:
        task: what the layout is for.
        seed: number of the episode, >= 0.
        noise: largest deviation of each arm joint from ALOHA's start pose, rad, uniform; grippers have none.

    Raises:
        ValueError: where the layout does not place exactly the task's objects.
    """
    robot_seed, scene_seed = np.random.SeedSequence(seed).spawn(2)
    state = aloha.START_POSE.copy()
    deviations = np.random.default_rng(robot_seed).uniform(-noise, noise, size=len(aloha.ARM_INDICES))
    state[aloha.ARM_INDICES] += deviations
    layout = task.sample_layout(np.random.default_rng(scene_seed))
    names = {each.name for each in task.objects}
    if set(layout.poses) != names:
        raise ValueError(
            f"a layout of the task {task.name} must place {', '.join(sorted(names)) or 'nothing'}, got "
            f"{', '.join(sorted(layout.poses)) or 'nothing'}; place each of its objects"
        )
    return EpisodeStart(state, layout)
