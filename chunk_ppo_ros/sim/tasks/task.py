"""Defines what a task is. A task draws the layout of the scene at a reset, and judges each control step.

A task is written once for all simulators and holds no state. Rewards are differences of a potential between two scenes.
Therefore the reward of a step is a function of the scenes before and after it, and the sum over an episode measures its
progress. The caller counts the time limit.
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

START_NOISE = 0.02  # rad, the largest deviation of each arm joint from the start pose

TaskSceneT = TypeVar("TaskSceneT")
"""The type of what one task reads of a scene. It is a dataclass of that task."""


class Task(Protocol[TaskSceneT]):
    """Describes a task. A class that inherits from this one needs no `make_expert` where it has no scripted expert.

    Attributes:
        name: the name of the task, for messages.
        prompt: the instruction. It must not contain what only the cameras may show.
        objects: the objects that the task wants in the scene besides the robot.
    """

    name: str
    prompt: str
    objects: tuple[SceneObject, ...]

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns a random layout, which places each of `objects`."""

    def observe(self, scene: SceneState) -> TaskSceneT:
        """Returns what this task reads of a scene.

        Raises:
            ValueError: where the scene lacks an object of the task.
        """

    def step_reward(self, before: TaskSceneT, after: TaskSceneT) -> StepReward:
        """Returns the judgment on one control step from `before` to `after`."""

    def make_expert(self, config: TrainConfig) -> Expert[TaskSceneT] | None:
        """Returns the scripted expert that demonstrates the task, or None where there is none."""
        return None


@dataclasses.dataclass(frozen=True)
class EpisodeStart:
    """Holds the start of an episode: the robot's state [14], rad and normalized grippers, and the scene's layout."""

    state: np.ndarray
    layout: EpisodeLayout


def sample_start(task: Task[TaskSceneT], *, seed: int, noise: float = START_NOISE) -> EpisodeStart:
    """Draws the start of an episode from `seed` alone. Robot and scene have separate random generators.

    Args:
        task: the task that draws the layout.
        seed: the seed of the episode, >= 0.
        noise: the largest deviation of each arm joint from ALOHA's start pose, rad. It is uniform, and grippers have
            none.

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
