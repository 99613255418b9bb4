"""Defines the task reach.

Each gripper must bring its grasp point to a target of its own color, which only the cameras show to the policy.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import EnvConfig, TrainConfig
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.reach import ReachExpert
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, Part, Pose, SceneObject, SceneState, Sphere
from chunk_ppo_ros.sim.tasks.settings import NoSettings, read_settings
from chunk_ppo_ros.sim.tasks.task import Task

# The targets of the left arm lie in this box, and those of the right arm in its mirror image at x = 0, m.
TARGET_LOW = np.array([-0.24, 0.38, 0.12])
TARGET_HIGH = np.array([-0.08, 0.62, 0.16])
MIRROR = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
# The left grasp point in the start pose, m (tests derive it).
START_GRASP_POINT = np.array([-0.1878, 0.5, 0.3082])
TARGET_CLEARANCE = 0.10  # m, the least distance of a target from that point, so that no success happens by accident
# The least distance of a target to either side of the gripper, m. Without it the gripper hides 27 % of the targets from
# its own camera.
TARGET_SIDE_GAP = 0.05
SUCCESS_RADIUS = 0.04  # m
MARKER_RADIUS = 0.04  # m, the radius of the balls that show the targets
MARKER_COLORS = ((235, 30, 30), (30, 70, 245))  # red for the left arm, blue for the right arm
PROGRESS_SCALE = 0.02  # m, half of the success radius; distances far below it count alike
# With this weight, two arms that go from 0.17 m each to the success radius get 0.5 * 2 * ln(0.19 / 0.06) = 1.15.
PROGRESS_WEIGHT = 0.5
SUCCESS_WEIGHT = 1.0

TARGETS = tuple(f"{side}_target" for side in aloha.SIDES)
"""The names of the two objects, the targets of the left and of the right arm."""


@dataclasses.dataclass(frozen=True)
class ReachScene:
    """Holds what the task reads of a scene: `grasp_points` and `targets`, each [2, 3] for the left and right arm, m."""

    grasp_points: np.ndarray
    targets: np.ndarray


class ReachTask(Task[ReachScene]):
    """Defines the task in which both grippers reach for their targets."""

    name = "reach"
    prompt = "reach both balls"
    objects = tuple(
        SceneObject(name, (Part(Sphere(MARKER_RADIUS), color),))
        for name, color in zip(TARGETS, MARKER_COLORS, strict=True)
    )

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns two targets, drawn uniformly in their boxes, away from the start and not behind a gripper."""
        targets = np.stack([_sample_target(rng) for _ in TARGETS]) * MIRROR
        return EpisodeLayout({name: Pose(target) for name, target in zip(TARGETS, targets, strict=True)})

    def observe(self, scene: SceneState) -> ReachScene:
        """Returns the grasp points and the targets of a scene.

        Raises:
            ValueError: where the scene has no targets.
        """
        return ReachScene(scene.grasp_points, np.stack([scene.position(name) for name in TARGETS]))

    def step_reward(self, before: ReachScene, after: ReachScene) -> StepReward:
        """Returns the terms `progress` and `success`.

        `progress` is the decrease of the potential. `success` is 1 where both distances are within the radius.

        The potential is the sum over both arms of ln(distance + `PROGRESS_SCALE`). Half of the way is then worth nearly
        the same from every distance. A chunk is judged by its own quality and not by the distance of its target, and
        the last centimeters count too. Ng, Harada and Russell 1999 introduced shaping by potentials.
        """
        distances = _target_distances(after)
        success = bool(np.all(distances <= SUCCESS_RADIUS))
        progress = float(np.sum(_potential(_target_distances(before)) - _potential(distances)))
        terms = (
            RewardTerm("progress", progress, PROGRESS_WEIGHT),
            RewardTerm("success", float(success), SUCCESS_WEIGHT),
        )
        return StepReward(terms=terms, terminated=success, success=success)

    def make_expert(self, config: TrainConfig) -> ReachExpert:
        """Returns the scripted expert."""
        return ReachExpert(config)


def make_reach(env: EnvConfig) -> ReachTask:
    """Returns the task of a configuration.

    Raises:
        SettingError: where the configuration has settings of a task, because this one has none.
    """
    read_settings(env, NoSettings)
    return ReachTask()


def _sample_target(rng: np.random.Generator) -> np.ndarray:
    while True:
        target = rng.uniform(TARGET_LOW, TARGET_HIGH)
        offset = target - START_GRASP_POINT
        if np.linalg.norm(offset) >= TARGET_CLEARANCE and abs(offset[1]) >= TARGET_SIDE_GAP:
            return target


def _target_distances(scene: ReachScene) -> np.ndarray:
    """Returns the distance of each grasp point from its target, [2], m."""
    return np.linalg.norm(scene.grasp_points - scene.targets, axis=1)


def _potential(distances: np.ndarray) -> np.ndarray:
    return np.log(distances + PROGRESS_SCALE)
