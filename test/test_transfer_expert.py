"""Tests the scripted hand-over: the goals of each arm in scenes written by hand, and whole episodes in MuJoCo."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, EnvConfig, PretrainConfig, TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim import rendering
from chunk_ppo_ros.sim.experts.demonstrations import EpisodeRecording, record_episode
from chunk_ppo_ros.sim.experts.expert import PEAK_SPEED, minimum_jerk_chunk
from chunk_ppo_ros.sim.experts.transfer_cube import (
    CLOSED,
    GRASP,
    GRIPPER_ROTATIONS,
    HOVER,
    MEETING_POINT,
    OPEN,
    WAITING,
    WITHDRAWN,
    TransferExpert,
    transfer_goals,
)
from chunk_ppo_ros.sim.geometry import arm_poses, split_arms
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.scene import FINGERS
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.transfer_cube import CUBE as CUBE_NAME
from chunk_ppo_ros.sim.tasks.transfer_cube import TransferScene

REASON = rendering.rendering_available()
needs_mujoco = pytest.mark.skipif(REASON is not None, reason=str(REASON))
CUBE = np.array([0.1, 0.55, 0.02])
AWAY = np.array([-0.2, 0.5, 0.3])
OFFERED = MEETING_POINT + GRASP  # the right grasp point when the cube is at the meeting point
NEAR_ENOUGH = MEETING_POINT + np.array([-0.018, 0.0, 0.016])  # a finger touches the cube, which gives way
TOO_HIGH = MEETING_POINT + np.array([0.0, 0.0, 0.02])
OFF = np.array([0.0, 0.01, 0.0])
HALF = 0.6  # a gripper's opening around the cube


def configuration(*, aim_noise: float = 0.0, chunks: int = 16) -> TrainConfig:
    env = EnvConfig(simulator="mujoco", task="transfer_cube", max_episode_chunks=chunks)
    pretrain = PretrainConfig(aim_noise=aim_noise, min_pace=1.0)
    return dataclasses.replace(PRESETS["debug"], env=env, pretrain=pretrain)


def goals(
    left: np.ndarray, right: np.ndarray, cube: np.ndarray, *, openings: tuple[float, float], touches: str = "table"
) -> list[tuple[list[float], float]]:
    """Returns the goal of the left and of the right arm: a point and an opening. `touches` is separated by blanks."""
    state = np.zeros(aloha.ACTION_DIM)
    state[aloha.GRIPPER_INDICES] = openings
    sides = frozenset(side for side in aloha.SIDES if f"{side}_gripper" in touches.split())
    scene = TransferScene(np.stack([left, right]), cube, touched_by=sides, on_table="table" in touches.split())
    return [(goal.point.tolist(), goal.opening) for goal in transfer_goals(state, scene)]


def goal(point: np.ndarray, opening: float) -> tuple[list[float], float]:
    return pytest.approx(point.tolist()), opening


@pytest.mark.parametrize(
    ("right", "opening", "wanted"),
    [
        (CUBE + HOVER + [0.0, 0.02, 0.0], 1.0, goal(CUBE + HOVER, OPEN)),  # beside the cube's line: first above it
        (CUBE + HOVER, 0.5, goal(CUBE + HOVER, OPEN)),  # not open yet
        (CUBE + HOVER, 0.9, goal(CUBE + GRASP, OPEN)),  # down
        (CUBE + GRASP + [0.0, 0.0, 0.02], 0.9, goal(CUBE + GRASP, OPEN)),  # not down yet
        (CUBE + GRASP + 0.01, 0.9, goal(CUBE + GRASP, CLOSED)),  # around it
        (CUBE + GRASP + 0.01, 0.5, goal(CUBE + GRASP, CLOSED)),  # goes on closing
    ],
)
def test_the_right_arm_fetches_the_cube_while_the_left_one_waits(right, opening, wanted):
    planned = goals(AWAY, right, CUBE, openings=(0.9, opening))
    assert planned == [goal(MEETING_POINT + WAITING, OPEN), wanted]


def test_a_cube_in_hand_is_carried():
    planned = goals(AWAY, CUBE + GRASP, CUBE, openings=(0.9, HALF), touches="right_gripper table")
    # There are 0.1 m to go. The left arm lines up with where the cube will be.
    assert planned == [goal(MEETING_POINT + WAITING, OPEN), goal(OFFERED, CLOSED)]
    # The cube is held 0.01 m off its middle, so it will be as much off the meeting point.
    planned = goals(AWAY, CUBE + GRASP, CUBE + OFF, openings=(0.9, HALF), touches="right_gripper")
    assert planned[0] == goal(MEETING_POINT + WAITING + OFF, OPEN)


@pytest.mark.parametrize(
    ("left", "opening", "wanted"),
    [
        (AWAY, 0.9, goal(MEETING_POINT + WAITING, OPEN)),  # out of line
        (MEETING_POINT + WAITING, 0.5, goal(MEETING_POINT + WAITING, OPEN)),  # not open yet
        (MEETING_POINT + WAITING, 0.9, goal(MEETING_POINT, OPEN)),  # goes around it
        (MEETING_POINT + 0.01, 0.9, goal(MEETING_POINT, CLOSED)),
        (NEAR_ENOUGH, 0.9, goal(MEETING_POINT, CLOSED)),
        (TOO_HIGH, 0.9, goal(MEETING_POINT + WAITING, OPEN)),
    ],
)
def test_the_left_arm_takes_a_cube_that_is_offered(left, opening, wanted):
    planned = goals(left, OFFERED, MEETING_POINT, openings=(opening, HALF), touches="right_gripper")
    assert planned == [wanted, goal(OFFERED, CLOSED)]


@pytest.mark.parametrize(("distance", "waits"), [(0.025, False), (0.035, True)])
def test_the_left_arm_waits_until_the_cube_is_nearly_there(distance, waits):
    way = np.array([0.0, 0.0, -distance])  # that the right arm still has before it
    left = MEETING_POINT + way + WAITING
    planned = goals(left, OFFERED + way, MEETING_POINT + way, openings=(0.9, HALF), touches="right_gripper")
    assert planned == [goal(MEETING_POINT + (WAITING if waits else 0.0), OPEN), goal(OFFERED, CLOSED)]


@pytest.mark.parametrize(("opening", "point"), [(HALF, OFFERED), (0.9, MEETING_POINT + WITHDRAWN)])
def test_the_right_gripper_opens_and_withdraws_once_the_left_one_holds(opening, point):
    touches = "left_gripper right_gripper"
    planned = goals(MEETING_POINT, OFFERED, MEETING_POINT, openings=(HALF, opening), touches=touches)
    assert planned == [goal(MEETING_POINT, CLOSED), goal(point, OPEN)]


def test_a_dropped_cube_is_fetched_again():
    dropped = np.array([0.0, 0.5, 0.02])
    planned = goals(MEETING_POINT + WAITING, OFFERED, dropped, openings=(0.9, 0.1))
    assert planned == [goal(MEETING_POINT + WAITING, OPEN), goal(dropped + HOVER, OPEN)]


def test_a_gripper_that_only_touches_the_cube_does_not_hold_it():
    planned = goals(AWAY, CUBE + GRASP, CUBE, openings=(0.9, 0.9), touches="right_gripper table")
    assert planned[1] == goal(CUBE + GRASP, CLOSED)


def plan(aim_noise: float, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the intended and the executed chunk from the start pose, with the grasp point at `right`."""
    scene = TransferScene(np.stack([AWAY, right]), CUBE, on_table=True)
    planned = TransferExpert(configuration(aim_noise=aim_noise)).plan(
        aloha.START_POSE, scene, random=np.random.default_rng(0)
    )
    return planned.intended, planned.executed


def test_chunks_command_grippers_at_once_and_keep_the_speed_limit():
    intended, executed = plan(0.0, AWAY)
    np.testing.assert_array_equal(intended, executed)
    np.testing.assert_array_equal(intended[:, aloha.GRIPPER_INDICES], OPEN)
    arms = np.vstack([aloha.START_POSE, intended])[:, aloha.ARM_INDICES]
    assert 0.95 * PEAK_SPEED < np.abs(np.diff(arms, axis=0)).max() * 50.0 <= PEAK_SPEED + 1e-4


def test_pace_is_a_part_of_the_top_speed():
    # Within 0.32 s a minimum-jerk way at 2.5 rad/s is 0.42667 rad, and at half of that speed 0.21333 rad. The way of
    # 0.1 rad is shorter than both.
    ways = np.zeros((2, 6))
    ways[:, 0] = 1.0, 0.1
    chunk = minimum_jerk_chunk(aloha.START_POSE, ways, horizon=16, pace=0.5)
    np.testing.assert_allclose((chunk[-1] - aloha.START_POSE)[[0, 7]], [0.21333, 0.1], atol=1e-5)


def test_near_aims_are_disturbed_less():
    # The same draws are scaled by the distance, and 0.02 m of 0.2 m is a tenth of the deviation.
    far, near = (
        np.abs(np.subtract(*plan(0.01, CUBE + HOVER + [0.0, 0.0, height]))[-1, 7:13]).max() for height in (0.2, 0.02)
    )
    assert 0.0 < near < 0.2 * far


def test_the_wanted_orientations():
    # The left gripper points along x and closes along z. The right one points down and to the left, and closes along y.
    np.testing.assert_allclose(GRIPPER_ROTATIONS[0] @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(GRIPPER_ROTATIONS[0] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    # The gripper points 1.2 rad down, with cos 1.2 = 0.36236 and sin 1.2 = 0.93204.
    np.testing.assert_allclose(GRIPPER_ROTATIONS[1] @ [1, 0, 0], [-0.36236, 0, -0.93204], atol=1e-5)
    np.testing.assert_allclose(GRIPPER_ROTATIONS[1] @ [0, 1, 0], [0, -1, 0], atol=1e-12)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    simulator = make_simulator(configuration(), render=False)
    yield simulator
    simulator.close()


def record(simulator: Simulator, seed: int, *, aim_noise: float = 0.0, chunks: int = 16) -> EpisodeRecording:
    return record_episode(simulator, configuration(aim_noise=aim_noise, chunks=chunks), seed=seed, render=False)


@needs_mujoco
@pytest.mark.parametrize("seed", [4, 16, 20])
def test_the_cube_is_handed_over(simulator, seed):
    recording = record(simulator, seed)
    assert recording.success
    assert len(recording.actions) <= 13
    # There are five stages, and two grasp points that came nearer at 2 / m, by 0.6 m or more on the way from the start.
    assert 5.5 < recording.rewards.sum() < 7.0
    held = arm_poses(split_arms(simulator.state())).grasp_points[0]
    np.testing.assert_allclose(simulator.scene().position(CUBE_NAME), held, atol=0.02)
    assert simulator.scene().touched(CUBE_NAME) == set(FINGERS["left"])


@needs_mujoco
def test_a_disturbed_hand_over_recovers_and_repeats_with_its_seed(simulator):
    straight, disturbed, again = (record(simulator, 4, aim_noise=noise, chunks=30) for noise in (0.0, 0.02, 0.02))
    assert disturbed.success
    assert len(disturbed.actions) > len(straight.actions)
    np.testing.assert_array_equal(disturbed.state, again.state)
    np.testing.assert_array_equal(disturbed.actions, again.actions)
