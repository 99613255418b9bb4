"""Demonstrates transfer_cube by a script: the right arm lifts the cube and hands it to the left one.

The expert finds the next goal of each arm from the present scene, not from a record of phases. The right gripper hovers
open above the cube, goes down, closes, and carries what it holds to the meeting point. The left gripper waits open
beside that point, goes to the cube once it is offered there, and closes. Then the right gripper opens and withdraws. A
motion that fails begins again from where it failed, so that a missed or dropped cube is fetched once more.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.expert import PlannedChunk, draw_pace, minimum_jerk_chunk
from chunk_ppo_ros.sim.geometry import BASE_YAWS, axis_rotations, solve_pose, split_arms

if TYPE_CHECKING:
    from chunk_ppo_ros.sim.tasks.transfer_cube import TransferScene

MEETING_POINT = np.array([0.0, 0.5, 0.22])  # m, the place of the cube when it is handed over
OPEN, CLOSED = 1.0, 0.0
OPENED = 0.8  # the opening beyond which a gripper goes around the cube
HOLDING = 0.75  # the opening below which a gripper may hold the cube; a held cube keeps the fingers at 0.6
# The right gripper points steeply down, and its fingers close along y. The left gripper is level and rolled by a
# quarter turn, so that its fingers close along z, between those of the right gripper.
RIGHT_PITCH, LEFT_ROLL = 1.2, 0.5 * np.pi
# The posture from which the inverse kinematics start, rad. It is near all goals, and joints depend on the goal alone.
POSTURE = np.array([[0.0, -0.3, 0.9, 0.0, -0.6, LEFT_ROLL], [0.0, 0.0, 0.4, 0.0, RIGHT_PITCH - 0.4, 0.0]])
# Offsets of the grasp point from the cube's center, m.
GRASP = np.array([0.0, 0.0, 0.012])  # keeps the fingertips off the table
HOVER = np.array([0.0, 0.0, 0.10])
WITHDRAWN = np.array([0.03, 0.0, 0.12])
WAITING = np.array([-0.11, 0.0, 0.0])
# The largest distance of a gripper from its goal, m, at which it counts as arrived.
IN_LINE = 0.014  # across its way; its open fingers leave 0.016 m on either side of the cube
AT = 0.014  # along its way
# The left gripper may be less exact. Otherwise it goes back and forth, because the cube moves in the right gripper when
# a finger of the left one pushes it.
TAKE_IN_LINE, TAKE_AT = 0.018, 0.02
IN_HAND = 0.04  # m, the largest distance of a held cube from the grasp point
OFFERED = 0.03  # m, the largest distance of the cube from where the right arm holds it still
# The distance of a grasp point from its goal, m, from which on the goal is disturbed fully. Nearer goals are disturbed
# less, in proportion.
FULL_NOISE_DISTANCE = 0.2


@dataclasses.dataclass(frozen=True)
class ArmGoal:
    """Holds the goal of an arm: the wanted grasp point [3], m, and the opening that its gripper is commanded, 0..1."""

    point: np.ndarray
    opening: float


class TransferExpert:
    """Hands the cube over. `Expert` documents its methods."""

    def __init__(self, config: TrainConfig) -> None:
        """Reads `model.action_horizon`, `pretrain.aim_noise` and `pretrain.min_pace` of the configuration."""
        self._config = config

    def plan(self, state: np.ndarray, scene: TransferScene, *, random: np.random.Generator) -> PlannedChunk:
        """Returns a chunk towards the next goal of each arm."""
        goals = transfer_goals(state, scene)
        pace = draw_pace(self._config, random)
        points = np.stack([goal.point for goal in goals])
        openings = np.array([goal.opening for goal in goals])
        distances = np.linalg.norm(points - scene.grasp_points, axis=1, keepdims=True)
        deviations = self._config.pretrain.aim_noise * np.minimum(1.0, distances / FULL_NOISE_DISTANCE)
        disturbed = points + deviations * random.standard_normal((2, 3))
        intended, executed = (self._chunk(state, goal_points, openings, pace) for goal_points in (points, disturbed))
        return PlannedChunk(intended, executed)

    def _chunk(self, state: np.ndarray, points: np.ndarray, openings: np.ndarray, pace: float) -> np.ndarray:
        ways = solve_pose(POSTURE, points, GRIPPER_ROTATIONS).joints - split_arms(state)
        horizon = self._config.model.action_horizon
        return minimum_jerk_chunk(state, ways, horizon=horizon, openings=openings, pace=pace)


def transfer_goals(state: np.ndarray, scene: TransferScene) -> tuple[ArmGoal, ArmGoal]:
    """Returns the next goals of the left and of the right arm.

    Args:
        state: float [14], the state, of which only the grippers are read.
        scene: the true scene.
    """
    cube = scene.cube
    openings = np.asarray(state)[aloha.GRIPPER_INDICES]
    left, right = (_holds(side, openings[side], scene, cube) for side in range(2))
    return (
        _left_goal(openings[0], scene, cube, held=left, offered=right),
        _right_goal(openings[1], scene, cube, held=right, taken=left),
    )


def _holds(side: int, opening: float, scene: TransferScene, cube: np.ndarray) -> bool:
    """Returns whether a gripper has the cube between its fingers.

    One touching finger suffices, because the contact of the other may be missing for an instant.
    """
    near = np.linalg.norm(scene.grasp_points[side] - cube) < IN_HAND
    return bool(near and opening < HOLDING and aloha.SIDES[side] in scene.touched_by)


def _right_goal(opening: float, scene: TransferScene, cube: np.ndarray, *, held: bool, taken: bool) -> ArmGoal:
    here = scene.grasp_points[1]
    if taken:
        return ArmGoal(MEETING_POINT + WITHDRAWN if opening > OPENED else here, OPEN)
    if held:
        return ArmGoal(MEETING_POINT + GRASP, CLOSED)
    offset = np.abs(here - cube - GRASP)
    in_line = bool(np.all(offset[:2] < IN_LINE))
    if in_line and offset[2] < AT:
        return ArmGoal(cube + GRASP, CLOSED)
    return ArmGoal(cube + (GRASP if in_line and opening > OPENED else HOVER), OPEN)


def _left_goal(opening: float, scene: TransferScene, cube: np.ndarray, *, held: bool, offered: bool) -> ArmGoal:
    here = scene.grasp_points[0]
    if held:
        return ArmGoal(here, CLOSED)
    if not offered:
        return ArmGoal(MEETING_POINT + WAITING, OPEN)
    place = MEETING_POINT + cube - scene.grasp_points[1] + GRASP  # the place of the cube once the right arm has arrived
    offset = np.abs(here - cube)
    ready = np.linalg.norm(cube - place) < OFFERED and np.all(offset[1:] < TAKE_IN_LINE)
    if ready and offset[0] < TAKE_AT:
        return ArmGoal(place, CLOSED)
    return ArmGoal(place + (0.0 if ready and opening > OPENED else WAITING), OPEN)


GRIPPER_ROTATIONS = axis_rotations(2, BASE_YAWS) @ np.stack(
    [axis_rotations(0, np.full(2, LEFT_ROLL))[0], axis_rotations(1, np.full(2, RIGHT_PITCH))[1]]
)
"""The rotations [2, 3, 3] from the gripper frames to the world, which stay the same throughout."""
