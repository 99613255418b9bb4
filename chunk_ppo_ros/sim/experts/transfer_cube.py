"""The scripted expert of transfer_cube: the right arm lifts the cube and hands it to the left one.

What each arm means to do next is read from the scene as it is, not from a record of phases. The right arm hovers open
above the cube, goes down, closes, and carries what it holds to the meeting point. The left arm waits open beside that
point, goes to the cube once it is offered there, and closes. Then the right gripper opens and withdraws. What fails
begins again from where it failed: a cube that was missed or dropped is fetched once more.
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

MEETING_POINT = np.array([0.0, 0.5, 0.22])  # m, of the cube when it is handed over
OPEN, CLOSED = 1.0, 0.0
OPENED = 0.8  # an opening from which a gripper goes around the cube
HOLDING = 0.75  # below this it may hold the cube, which keeps the fingers at 0.6
# The right gripper points steeply down and its fingers close along y. The left one is level and rolled a quarter
# turn: its fingers close along z, between those of the right one.
RIGHT_PITCH, LEFT_ROLL = 1.2, 0.5 * np.pi
# Where the inverse kinematics start, so that joints depend on the goal alone: a posture near all of them, rad.
POSTURE = np.array([[0.0, -0.3, 0.9, 0.0, -0.6, LEFT_ROLL], [0.0, 0.0, 0.4, 0.0, RIGHT_PITCH - 0.4, 0.0]])
# Offsets of the grasp point from the cube's center, m.
GRASP = np.array([0.0, 0.0, 0.012])  # keeps the fingertips off the table
HOVER = np.array([0.0, 0.0, 0.10])
WITHDRAWN = np.array([0.03, 0.0, 0.12])
WAITING = np.array([-0.11, 0.0, 0.0])
# How near, in each direction, counts as being there, m.
IN_LINE = 0.014  # across the way that a gripper comes: its open fingers leave 0.016 on either side of the cube
AT = 0.014  # along it
# The left gripper may be less exact, or it goes back and forth: a cube that its finger pushes gives way in the other.
TAKE_IN_LINE, TAKE_AT = 0.018, 0.02
IN_HAND = 0.04  # distance of a held cube from the grasp point
OFFERED = 0.03  # distance of the cube from where the right arm holds it still
FULL_NOISE_DISTANCE = 0.2  # of a grasp point from its aim; nearer aims are disturbed less, in proportion


@dataclasses.dataclass(frozen=True)
class ArmGoal:
    """Where a grasp point shall go [3], m, and the opening that its gripper is told, 0..1."""

    point: np.ndarray
    opening: float


class TransferExpert:
    """Hands the cube over; see `Expert`."""

    def __init__(self, config: TrainConfig) -> None:
        """Takes `model.action_horizon`, `pretrain.aim_noise` and `pretrain.min_pace`."""
        self._config = config

    def plan(self, state: np.ndarray, scene: TransferScene, *, random: np.random.Generator) -> PlannedChunk:
        """Returns a chunk towards what each arm means to do next."""
        goals = transfer_goals(state, scene)
        pace = draw_pace(self._config, random)
        points = np.stack([goal.point for goal in goals])
        openings = np.array([goal.opening for goal in goals])
        distances = np.linalg.norm(points - scene.grasp_points, axis=1, keepdims=True)
        deviations = self._config.pretrain.aim_noise * np.minimum(1.0, distances / FULL_NOISE_DISTANCE)
        disturbed = points + deviations * random.standard_normal((2, 3))
        intended, executed = (self._chunk(state, aims, openings, pace) for aims in (points, disturbed))
        return PlannedChunk(intended, executed)

    def _chunk(self, state: np.ndarray, points: np.ndarray, openings: np.ndarray, pace: float) -> np.ndarray:
        ways = solve_pose(POSTURE, points, GRIPPER_ROTATIONS).joints - split_arms(state)
        horizon = self._config.model.action_horizon
        return minimum_jerk_chunk(state, ways, horizon=horizon, openings=openings, pace=pace)


def transfer_goals(state: np.ndarray, scene: TransferScene) -> tuple[ArmGoal, ArmGoal]:
    """Returns what the left and the right arm mean to do next.

    Args:
        state: [14]; only its grippers are read.
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
    """Returns whether a gripper has the cube between its fingers; a contact of one of them may be missing for an
    instant.
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
    place = MEETING_POINT + cube - scene.grasp_points[1] + GRASP  # of the cube, once the right arm has arrived
    offset = np.abs(here - cube)
    ready = np.linalg.norm(cube - place) < OFFERED and np.all(offset[1:] < TAKE_IN_LINE)
    if ready and offset[0] < TAKE_AT:
        return ArmGoal(place, CLOSED)
    return ArmGoal(place + (0.0 if ready and opening > OPENED else WAITING), OPEN)


GRIPPER_ROTATIONS = axis_rotations(2, BASE_YAWS) @ np.stack(
    [axis_rotations(0, np.full(2, LEFT_ROLL))[0], axis_rotations(1, np.full(2, RIGHT_PITCH))[1]]
)
"""[2, 3, 3], gripper frame to world, throughout."""
