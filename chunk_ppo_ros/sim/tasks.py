"""The tasks, written once for all simulators: what is drawn at a reset, and what a control step is worth.

A task holds no state. Rewards are differences of a potential between two scenes, so that a step's reward is a function
of the scene before and after it, and an episode's sum tells how far it came. The time limit is counted by the caller.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from chunk_ppo_ros.config import EnvConfig
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.interface import SceneState, StepReward

# Reach: the left arm's targets lie in this box; the right arm's in its mirror image at x = 0. m.
TARGET_LOW = np.array([-0.24, 0.38, 0.12])
TARGET_HIGH = np.array([-0.08, 0.62, 0.16])
MIRROR = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
# The left grasp point in the start pose (tests derive it), and how far from it targets stay, m: no success by accident.
START_GRASP_POINT = np.array([-0.1878, 0.5, 0.3082])
TARGET_CLEARANCE = 0.10
TARGET_SIDE_GAP = 0.05  # m to either side of the gripper, or it hides the target from its own camera (27 % without)
SUCCESS_RADIUS = 0.04  # m
MARKER_RADIUS = 0.04  # m, of the balls that show the targets
MARKER_COLORS = np.array([[235, 30, 30], [30, 70, 245]])  # left arm red, right arm blue
PROGRESS_SCALE = 0.02  # m, distances far below it count alike: half the success radius
PROGRESS_WEIGHT = 0.5  # two arms from 0.17 m each to the success radius: 0.5 * 2 * ln(0.19 / 0.06) = 1.15
SUCCESS_WEIGHT = 1.0

# Transfer cube: where the cube's centre is drawn (gym-aloha's `sample_box_pose`), resting on the table, m.
CUBE_HALF_SIZE = 0.02
CUBE_LOW = np.array([0.0, 0.4, CUBE_HALF_SIZE])
CUBE_HIGH = np.array([0.2, 0.6, CUBE_HALF_SIZE])
CUBE_PROGRESS_WEIGHT = 2.0  # 1/m: the two grasp points begin 0.7 m from the cube and end near it
CUBE_STAGES = 5
CUBE_LOST = -0.05  # m, height of a cube that has fallen off the table

START_NOISE = 0.02  # rad, largest deviation of each arm joint from the start pose


@dataclasses.dataclass(frozen=True)
class EpisodeLayout:
    """What a reset puts into the scene: `targets` [2, 3] of reach or `cube_position` [3] of transfer_cube, m."""

    targets: np.ndarray | None = None
    cube_position: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class EpisodeStart:
    """How an episode starts: the robot's state [14], rad and normalised grippers, and the layout of the scene."""

    state: np.ndarray
    layout: EpisodeLayout


class Task(Protocol):
    """A task: a name, an instruction, a random layout and a reward.

    Attributes:
        name: value of `env.task`.
        prompt: the instruction; it must not tell what only the cameras may show.
        objects: what it wants in the scene besides the robot, out of "targets" and "cube".
    """

    name: str
    prompt: str
    objects: frozenset[str]

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """A random layout."""

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        """What one control step from `before` to `after` is worth."""


def sample_start(task: Task, *, seed: int, noise: float = START_NOISE) -> EpisodeStart:
    """Draws the start of an episode from `seed` alone; robot and scene have generators of their own.

    Args:
        task: what the layout is for.
        seed: number of the episode, >= 0.
        noise: largest deviation of each arm joint from ALOHA's start pose, rad, uniform; grippers have none.
    """
    robot_seed, scene_seed = np.random.SeedSequence(seed).spawn(2)
    state = aloha.START_POSE.copy()
    deviations = np.random.default_rng(robot_seed).uniform(-noise, noise, size=len(aloha.ARM_INDICES))
    state[aloha.ARM_INDICES] += deviations
    return EpisodeStart(state, task.sample_layout(np.random.default_rng(scene_seed)))


class ReachTask:
    """Both grippers must bring their grasp point to their own coloured target, seen only by the cameras."""

    name = "reach"
    prompt = "reach both balls"
    objects = frozenset({"targets"})

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Two targets, uniform in their boxes, away from the start and not behind a gripper."""
        return EpisodeLayout(targets=np.stack([_sample_target(rng) for _ in range(2)]) * MIRROR)

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        """`progress`: decrease of the potential; `success`: 1 where both distances are within the radius.

        The potential is the sum over both arms of ln(distance + `PROGRESS_SCALE`): covering half of the way is worth
        nearly the same from everywhere, so that a chunk is judged by its own quality and not by how far the target
        happened to be, and the last centimetres count. Shaping by potentials: Ng, Harada and Russell 1999.
        """
        distances = _target_distances(after)
        success = bool(np.all(distances <= SUCCESS_RADIUS))
        progress = float(np.sum(_potential(_target_distances(before)) - _potential(distances)))
        terms = (
            RewardTerm("progress", progress, PROGRESS_WEIGHT),
            RewardTerm("success", float(success), SUCCESS_WEIGHT),
        )
        return StepReward(terms=terms, terminated=success, success=success)


class TransferCubeTask:
    """The right gripper lifts a cube and hands it to the left one (ACT, Zhao et al. 2023).

    Differs from gym-aloha's task, which calls the first touch of the left gripper a success: here it must hold the
    cube alone, with both fingers. Whether the right one ever held it is not asked: a state tells nothing of the past.
    """

    name = "transfer_cube"
    prompt = "pick up the red cube with the right arm and hand it to the left arm"
    objects = frozenset({"cube"})

    def __init__(self, *, spread: float = 1.0) -> None:
        """`spread` is the share of the cube's range that is used, in each direction, about its middle; 0..1."""
        middle, half = (CUBE_LOW + CUBE_HIGH) / 2, (CUBE_HIGH - CUBE_LOW) / 2
        self._low, self._high = middle - spread * half, middle + spread * half

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """The cube's place on the table, uniform, on the right half."""
        return EpisodeLayout(cube_position=rng.uniform(self._low, self._high))

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        """`stage`: increase of `transfer_stage`; the last one is success. `progress`: decrease of the way, m.

        A cube that has fallen off the table ends the episode: it would fall on, and progress have no bound.

        Raises:
            ValueError: where a scene has no cube.
        """
        stage = transfer_stage(after)
        success = stage == CUBE_STAGES
        lost = bool(cube_position(after)[2] < CUBE_LOST)
        terms = (
            RewardTerm("stage", float(stage - transfer_stage(before))),
            RewardTerm("progress", _way_to_cube(before) - _way_to_cube(after), CUBE_PROGRESS_WEIGHT),
        )
        return StepReward(terms=terms, terminated=success or lost, success=success)


def _sample_target(rng: np.random.Generator) -> np.ndarray:
    while True:
        target = rng.uniform(TARGET_LOW, TARGET_HIGH)
        offset = target - START_GRASP_POINT
        if np.linalg.norm(offset) >= TARGET_CLEARANCE and abs(offset[1]) >= TARGET_SIDE_GAP:
            return target


def _target_distances(scene: SceneState) -> np.ndarray:
    """[2], m: distance of each grasp point from its target."""
    if scene.targets is None:
        raise ValueError("scene.targets must be given for the reach task, got None; reset the simulator first")
    return np.linalg.norm(scene.grasp_points - scene.targets, axis=1)


def _potential(distances: np.ndarray) -> np.ndarray:
    return np.log(distances + PROGRESS_SCALE)


def transfer_stage(scene: SceneState) -> int:
    """0..5: what gym-aloha rewards with 0..4, and the left gripper holding the cube alone off the table.

    Nothing, touched by the right gripper, lifted by it, touched by the left one, that off the table.
    """
    touches, on_table = scene.cube_touches, "table" in scene.cube_touches
    if "left" in scene.cube_grips and not on_table and "right_gripper" not in touches:
        return CUBE_STAGES
    if "left_gripper" in touches:
        return 3 if on_table else 4
    if "right_gripper" in touches:
        return 1 if on_table else 2
    return 0


def _way_to_cube(scene: SceneState) -> float:
    """Summed distance of both grasp points from the cube, m."""
    return float(np.sum(np.linalg.norm(scene.grasp_points - cube_position(scene), axis=1)))


def cube_position(scene: SceneState) -> np.ndarray:
    """The cube's centre [3], m.

    Raises:
        ValueError: where the scene has no cube.
    """
    if scene.cube_position is None:
        raise ValueError("scene.cube_position must be given for transfer_cube, got None; reset the simulator first")
    return scene.cube_position


TASKS: dict[str, Callable[[EnvConfig], Task]] = {
    ReachTask.name: lambda env: ReachTask(),
    TransferCubeTask.name: lambda env: TransferCubeTask(spread=env.cube_spread),
}


def make_task(env: EnvConfig) -> Task:
    """The task `env.task`."""
    return TASKS[env.task](env)
