"""Defines the task transfer_cube: the right gripper lifts a cube and hands it to the left one (ACT, Zhao et al. 2023).

Differs from gym-aloha's task, in which the first touch of the left gripper is a success. Here the left gripper must
hold the cube alone, with both fingers. The task does not ask whether the right gripper ever held it, because a state
contains nothing of the past.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import EnvConfig, TrainConfig, setting
from chunk_ppo_ros.config.schema import Checked
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.experts.transfer_cube import TransferExpert
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import TABLE, Box, EpisodeLayout, Motion, Part, Pose, SceneObject, SceneState
from chunk_ppo_ros.sim.tasks.settings import read_settings
from chunk_ppo_ros.sim.tasks.task import Task

CUBE = "cube"
"""The name of the cube among the objects of the scene."""
CUBE_HALF_SIZE = 0.02  # m
CUBE_COLOR = (255, 0, 0)
CUBE_MASS = 0.05  # kg; mass and inertia are those of gym-aloha's scene, whose inertia is far above that of a solid cube
CUBE_INERTIA = (0.002, 0.002, 0.002)  # kg m^2
# The box in which the cube's center is drawn, as in gym-aloha's `sample_box_pose`, m. The cube rests on the table.
CUBE_LOW = np.array([0.0, 0.4, CUBE_HALF_SIZE])
CUBE_HIGH = np.array([0.2, 0.6, CUBE_HALF_SIZE])
PROGRESS_WEIGHT = 2.0  # 1/m; the two grasp points begin at 0.7 m from the cube in sum, and end near it
STAGES = 5  # the stage of success, see `transfer_stage`
LOST_HEIGHT = -0.05  # m; a cube whose center is lower has fallen off the table


@dataclasses.dataclass(frozen=True)
class TransferCubeSettings(Checked):
    """Declares the settings that `env.task_settings` may name for this task."""

    cube_spread: float = setting(
        1.0,
        "the cube is drawn within this share of gym-aloha's 0.2 m by 0.2 m, in each direction",
        minimum=0.0,
        maximum=1.0,
    )


@dataclasses.dataclass(frozen=True)
class TransferScene:
    """Holds what the task reads of a scene.

    Attributes:
        grasp_points: float [2, 3], the grasp points of the left and of the right gripper, m.
        cube: float [3], the center of the cube, m.
        touched_by: the sides, of "left" and "right", on which a finger touches the cube.
        gripped_by: the sides on which both fingers touch the cube.
        on_table: whether the cube touches the table.
    """

    grasp_points: np.ndarray
    cube: np.ndarray
    touched_by: frozenset[str] = frozenset()
    gripped_by: frozenset[str] = frozenset()
    on_table: bool = False


class TransferCubeTask(Task[TransferScene]):
    """Defines the task in which the right gripper hands a cube to the left one."""

    name = "transfer_cube"
    prompt = "pick up the red cube with the right arm and hand it to the left arm"
    objects = (
        SceneObject(
            CUBE,
            (Part(Box((CUBE_HALF_SIZE,) * 3), CUBE_COLOR),),
            motion=Motion.FREE,
            mass=CUBE_MASS,
            inertia=CUBE_INERTIA,
        ),
    )

    def __init__(self, *, spread: float = 1.0) -> None:
        """Makes the task.

        Args:
            spread: the share, 0..1, of the cube's range that is used about its middle, in each direction.
        """
        middle, half = (CUBE_LOW + CUBE_HIGH) / 2, (CUBE_HIGH - CUBE_LOW) / 2
        self._low, self._high = middle - spread * half, middle + spread * half

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns the cube's place on the right half of the table, drawn uniformly."""
        return EpisodeLayout({CUBE: Pose(rng.uniform(self._low, self._high))})

    def observe(self, scene: SceneState) -> TransferScene:
        """Returns the grasp points, the cube and what touches it.

        Raises:
            ValueError: where the scene has no cube.
        """
        return TransferScene(
            grasp_points=scene.grasp_points,
            cube=scene.position(CUBE),
            touched_by=scene.touched_by(CUBE),
            gripped_by=scene.gripped_by(CUBE),
            on_table=TABLE in scene.touched(CUBE),
        )

    def step_reward(self, before: TransferScene, after: TransferScene) -> StepReward:
        """Returns the terms `stage`, the increase of `transfer_stage`, and `progress`, the decrease of the way, m.

        The last stage is a success. A cube that has fallen off the table ends the episode, because it would fall for
        ever and `progress` would have no bound.
        """
        stage = transfer_stage(after)
        success = stage == STAGES
        lost = bool(after.cube[2] < LOST_HEIGHT)
        terms = (
            RewardTerm("stage", float(stage - transfer_stage(before))),
            RewardTerm("progress", _way_to_cube(before) - _way_to_cube(after), PROGRESS_WEIGHT),
        )
        return StepReward(terms=terms, terminated=success or lost, success=success)

    def make_expert(self, config: TrainConfig) -> TransferExpert:
        """Returns the scripted expert."""
        return TransferExpert(config)


def make_transfer_cube(env: EnvConfig) -> TransferCubeTask:
    """Returns the task of a configuration."""
    return TransferCubeTask(spread=read_settings(env, TransferCubeSettings).cube_spread)


def transfer_stage(scene: TransferScene) -> int:
    """Returns the stage 0..5 of a scene.

    The stages 0..4 are the rewards of gym-aloha's task, and stage 5 is the success of this task:
      - 0: neither gripper touches the cube;
      - 1: the right gripper touches it;
      - 2: the right gripper touches it off the table;
      - 3: the left gripper touches it;
      - 4: the left gripper touches it off the table;
      - 5: the left gripper holds it alone off the table.
    """
    if "left" in scene.gripped_by and not scene.on_table and "right" not in scene.touched_by:
        return STAGES
    if "left" in scene.touched_by:
        return 3 if scene.on_table else 4
    if "right" in scene.touched_by:
        return 1 if scene.on_table else 2
    return 0


def _way_to_cube(scene: TransferScene) -> float:
    """Returns the sum of the distances of both grasp points from the cube, m."""
    return float(np.sum(np.linalg.norm(scene.grasp_points - scene.cube, axis=1)))
