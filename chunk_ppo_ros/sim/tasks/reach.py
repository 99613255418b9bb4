"""Reach: both grippers must bring their grasp point to their own colored target, seen only by the cameras."""

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

# The left arm's targets lie in this box; the right arm's in its mirror image at x = 0. m.
TARGET_LOW = np.array([-0.24, 0.38, 0.12])
TARGET_HIGH = np.array([-0.08, 0.62, 0.16])
MIRROR = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
# The left grasp point in the start pose (tests derive it), and how far from it targets stay, m: no success by accident.
START_GRASP_POINT = np.array([-0.1878, 0.5, 0.3082])
TARGET_CLEARANCE = 0.10
TARGET_SIDE_GAP = 0.05  # m to either side of the gripper, or it hides the target from its own camera (27 % without)
SUCCESS_RADIUS = 0.04  # m
MARKER_RADIUS = 0.04  # m, of the balls that show the targets
MARKER_COLORS = ((235, 30, 30), (30, 70, 245))  # left arm red, right arm blue
PROGRESS_SCALE = 0.02  # m, distances far below it count alike: half the success radius
PROGRESS_WEIGHT = 0.5  # two arms from 0.17 m each to the success radius: 0.5 * 2 * ln(0.19 / 0.06) = 1.15
SUCCESS_WEIGHT = 1.0

TARGETS = tuple(f"{side}_target" for side in aloha.SIDES)
"""Names of the objects: the target of the left and of the right arm."""


@dataclasses.dataclass(frozen=True)
class ReachScene:
    """What the task looks at: `grasp_points` and `targets`, each [2, 3] for the left and the right arm, m."""

    grasp_points: np.ndarray
    targets: np.ndarray


class ReachTask(Task[ReachScene]):
    """The task; see the module."""

    name = "reach"
    prompt = "reach both balls"
    objects = tuple(
        SceneObject(name, (Part(Sphere(MARKER_RADIUS), color),))
        for name, color in zip(TARGETS, MARKER_COLORS, strict=True)
    )

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Two targets, uniform in their boxes, away from the start and not behind a gripper."""
        targets = np.stack([_sample_target(rng) for _ in TARGETS]) * MIRROR
        return EpisodeLayout({name: Pose(target) for name, target in zip(TARGETS, targets, strict=True)})

    def observe(self, scene: SceneState) -> ReachScene:
        """Grasp points and targets; raises ValueError where the scene has no targets."""
        return ReachScene(scene.grasp_points, np.stack([scene.position(name) for name in TARGETS]))

    def step_reward(self, before: ReachScene, after: ReachScene) -> StepReward:
        """`progress`: decrease of the potential; `success`: 1 where both distances are within the radius.

        The potential is the sum over both arms of ln(distance + `PROGRESS_SCALE`): covering half of the way is worth
        nearly the same from everywhere, so that a chunk is judged by its own quality and not by how far the target
        happened to be, and the last centimeters count. Shaping by potentials: Ng, Harada and Russell 1999.
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
    """Returns the task of a configuration; it has no settings."""
    read_settings(env, NoSettings)
    return ReachTask()


def _sample_target(rng: np.random.Generator) -> np.ndarray:
    while True:
        target = rng.uniform(TARGET_LOW, TARGET_HIGH)
        offset = target - START_GRASP_POINT
        if np.linalg.norm(offset) >= TARGET_CLEARANCE and abs(offset[1]) >= TARGET_SIDE_GAP:
            return target


def _target_distances(scene: ReachScene) -> np.ndarray:
    """Returns [2], m: distance of each grasp point from its target."""
    return np.linalg.norm(scene.grasp_points - scene.targets, axis=1)


def _potential(distances: np.ndarray) -> np.ndarray:
    return np.log(distances + PROGRESS_SCALE)
