"""Tests the path of scripted motions, and what begins and ends them in the chunk player."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.player.scripted_motion import (
    MotionRefused,
    MotionRequest,
    ScriptedMotion,
    away_from,
    check_request,
    plan,
)
from support.player_inputs import DT, HOME, observe, only, ramp, send

CONFIG = RobotConfig(max_velocity=1.5, max_acceleration=10.0, max_following_error=0.3)
STAYS = np.full(aloha.ACTION_DIM, np.nan)


def to(*moves: dict[int, float], speed: float = 0.5) -> MotionRequest:
    """Returns a request for poses in which the named dimensions have these numbers and all others stay."""
    poses = np.tile(STAYS, (len(moves), 1))
    for pose, move in zip(poses, moves, strict=True):
        pose[list(move)] = list(move.values())
    return MotionRequest("test", poses, speed)


class Arms:
    """A player in real time, and arms that are always where they were sent, unless they are stuck."""

    def __init__(self, config: RobotConfig = CONFIG, state: np.ndarray = HOME) -> None:
        self.player = ChunkPlayer(
            config, state_timeout=0.5, states_on_demand=False, trust=TrustRule.of(config, simulated=False)
        )
        self.now, self.state, self.stuck = 1.0, np.array(state), False
        self.sent: list[np.ndarray] = []
        self.step(10)

    def step(self, num_steps: int = 1) -> None:
        for _ in range(num_steps):
            self.now += DT
            observe(self.player, self.now, self.state)
            target = self.player.tick(self.now)
            if target is not None:
                self.sent.append(target)
                self.state = self.state if self.stuck else target

    def move(self, request: MotionRequest) -> ScriptedMotion:
        return self.player.move_to(request, now=self.now)

    def until_end(self, motion: ScriptedMotion) -> None:
        for _ in range(1000):
            if motion.end is not None:
                return
            self.step()
        raise AssertionError("the motion did not end")


@pytest.mark.parametrize(
    ("distance", "seconds"),
    # At 0.5 rad/s a motion of minimum jerk takes 1.875 d / 0.5, and at 2 rad/s^2 the root of 5.7736 d / 2.
    [(0.8, 3.0), (0.02, 0.2403)],
)
def test_a_path_keeps_its_speed_and_its_acceleration(distance: float, seconds: float) -> None:
    start = np.zeros(14)
    motion = plan(to({0: distance, 8: -distance / 2}), start, CONFIG)
    assert len(motion.targets) == int(np.ceil(seconds / DT))
    path = np.vstack([start, motion.targets])
    steps = np.diff(path, axis=0)
    assert np.abs(steps).max() <= 0.5 * DT + 1e-9
    assert np.abs(np.diff(steps, axis=0)).max() <= 2.0 * DT**2 + 1e-9
    np.testing.assert_array_equal(motion.targets[-1][[0, 8]], [distance, -distance / 2])
    np.testing.assert_allclose(path[:, 8], -path[:, 0] / 2, atol=1e-12)  # a straight line in joint space
    assert not np.any(path[:, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]])


def test_a_path_rests_at_each_pose_and_ends_at_the_last() -> None:
    motion = plan(to({0: 0.2}, {0: -0.1, 1: 0.3}), np.zeros(14), CONFIG)
    turn = int(np.argmax(motion.targets[:, 0]))
    assert motion.targets[turn][0] == 0.2 and motion.targets[turn][1] == 0.0
    np.testing.assert_allclose(np.diff(motion.targets[turn - 1 : turn + 2, 0]), 0.0, atol=1e-4)
    np.testing.assert_array_equal(motion.targets[-1][:2], [-0.1, 0.3])


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (MotionRequest("test", np.zeros((1, 13)), 0.5), "poses must have shape (n, 14) with n >= 1, got (1, 13)"),
        (MotionRequest("test", np.zeros((0, 14)), 0.5), "got (0, 14)"),
        (to({1: -1.86}), "dimension 1 of a pose must be within -1.85005..1.25664, or NaN for a joint that stays"),
        (to({13: np.inf}), "dimension 13 of a pose must be within 0..1"),
        (to({0: 0.1}, speed=0.6), "the speed must be above 0 and at most 0.5 rad/s (robot.scripted_velocity), got 0.6"),
        (to({0: 0.1}, speed=-0.1), "the speed must be above 0"),
        (to({0: 0.1}, speed=np.nan), "the speed must be above 0"),
    ],
)
def test_a_request_that_cannot_be_is_refused(request_: MotionRequest, text: str) -> None:
    with pytest.raises(MotionRefused) as error:
        check_request(request_, CONFIG)
    assert text in str(error.value)


def test_the_robot_goes_there_slowly_and_no_chunk_has_a_result() -> None:
    arms = Arms()
    motion = arms.move(to({0: 0.3, 6: 0.9}))
    assert arms.player.playing
    arms.until_end(motion)
    assert motion.end is not None and (motion.end.status, motion.end.message) == (Status.EXECUTED, "")
    assert arms.sent[-1][0] == pytest.approx(0.3) and arms.sent[-1][6] == pytest.approx(0.9)
    np.testing.assert_allclose(np.delete(arms.sent[-1], [0, 6]), np.delete(HOME, [0, 6]))
    assert np.abs(np.diff(arms.sent, axis=0)).max() <= 0.5 * DT + 1e-9
    assert arms.player.take_results() == []
    count = len(arms.sent)
    arms.step(5)
    assert len(arms.sent) == count


def test_a_suspended_robot_moves_and_a_chunk_waits() -> None:
    arms = Arms()
    arms.player.suspend("the episode has ended", freeze=False)
    motion = arms.move(to({0: 0.3}))
    arms.step(5)
    send(arms.player, ramp(4, 0.01), now=arms.now)
    assert "suspended" in only(arms.player.take_results()).message
    arms.until_end(motion)
    arms.player.resume()
    motion = arms.move(to({0: 0.2}))
    send(arms.player, ramp(4, 0.01), now=arms.now, stamp=2)
    assert "a scripted motion is under way: test" in only(arms.player.take_results()).message
    with pytest.raises(MotionRefused, match="a scripted motion is under way: test; wait until it has ended"):
        arms.move(to({0: 0.1}))
    arms.until_end(motion)
    assert arms.player.take_results() == []


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (lambda player: player.take_over(), "a human drives the robot"),
        (lambda player: player.readiness.note_obstacle("emergency stop"), "emergency stop"),
        (lambda player: send(player, ramp(4, 0.01), now=1.2), "a chunk is already playing"),
        (lambda player: player.observe("left", np.full(7, -np.pi), stamp=9, now=1.21), "must be within"),
    ],
    ids=["human", "obstacle", "chunk", "doubted joint states"],
)
def test_it_is_refused_where_a_chunk_would_be(block, text: str) -> None:
    arms = Arms()
    block(arms.player)
    with pytest.raises(MotionRefused, match=text):
        arms.move(to({0: 0.1}))


@pytest.mark.parametrize(
    ("end", "status", "text"),
    [
        (lambda player: player.suspend("paused"), Status.CANCELLED, "paused"),
        (lambda player: player.resume(), Status.CANCELLED, "an episode goes on"),
        (lambda player: player.take_over(), Status.TAKEOVER, "a human took over"),
        (lambda player: player.end_scripted("enough"), Status.CANCELLED, "enough"),
        (lambda player: player.readiness.note_obstacle("emergency stop"), Status.FAULT, "emergency stop"),
    ],
    ids=["pause", "episode", "human", "service", "emergency stop"],
)
def test_it_ends_and_the_robot_brakes(end, status: Status, text: str) -> None:
    arms = Arms()
    motion = arms.move(to({0: 0.5}))
    arms.step(50)
    end(arms.player)
    arms.step(20)
    assert motion.end is not None and (motion.end.status, motion.end.message) == (status, text)
    assert 0.0 < arms.sent[-1][0] < 0.5
    np.testing.assert_array_equal(arms.sent[-1], arms.sent[-2])
    assert arms.player.take_results() == []


def test_an_arm_that_does_not_follow_ends_it() -> None:
    arms = Arms()
    motion = arms.move(to({0: 0.6}))
    arms.stuck = True
    arms.until_end(motion)
    assert motion.end is not None and motion.end.status is Status.FAULT
    assert "the left waist does not follow" in motion.end.message


def test_from_the_sleep_pose_of_a_driver_an_arm_comes_into_its_range_slowly() -> None:
    asleep = np.tile([0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.5], 2)
    arms = Arms(state=asleep)
    start = MotionRequest("start pose", aloha.START_POSE[None], 0.5)
    motion = arms.move(start)
    arms.until_end(motion)
    assert motion.end is not None and motion.end.status is Status.EXECUTED
    path = np.vstack([asleep, *arms.sent])
    assert np.abs(np.diff(path, axis=0)).max() <= 0.6 * DT + 1e-9  # a fifth faster than planned at most
    shoulder = path[:, 1]
    outside = shoulder < aloha.LOWER_LIMITS[1]
    assert np.all(np.diff(shoulder[outside]) >= 0.0) and not np.any(outside[np.argmin(outside) :])
    np.testing.assert_allclose(path[-1], aloha.START_POSE)


def test_a_table_in_the_way_is_named() -> None:
    """The tips of the fingers are at 0.17 m in the start pose, and the table is at 0.1 m."""
    config = dataclasses.replace(CONFIG, table_height=0.1)
    arms = Arms(config)
    motion = arms.move(to({1: 0.2}))
    arms.until_end(motion)
    assert motion.end is not None and motion.end.status is Status.LIMITED
    assert motion.end.message.startswith("the limits of the robot keep the left ")
    assert motion.end.message.endswith(" rad away from the pose")
    assert arms.player.take_results() == []


def test_a_lowered_speed_limit_holds_for_a_motion_too() -> None:
    arms = Arms()
    motion = arms.move(to({0: 0.5}))
    arms.step(20)
    count = len(arms.sent)
    arms.player.set_max_velocity(0.1)
    arms.until_end(motion)
    assert motion.end is not None and motion.end.status is Status.LIMITED
    assert np.abs(np.diff(arms.sent[count + 10 :], axis=0)).max() <= 0.1 * DT + 1e-9


def test_an_arm_is_at_a_pose_within_a_tolerance_and_beyond_the_range() -> None:
    measured = np.array(aloha.SLEEP_POSE)
    assert away_from(aloha.SLEEP_POSE, measured) == ""
    measured[1], measured[2], measured[6] = -2.05, 1.7, 0.9  # The driver's sleep pose; a gripper does not count.
    assert away_from(aloha.SLEEP_POSE, measured) == ""
    measured[8] += 0.11
    assert away_from(aloha.SLEEP_POSE, measured) == "the right shoulder must be within 0.1 rad of -1.85 rad, got -1.74"


def test_a_robot_that_moves_or_is_not_believed_rests_nowhere() -> None:
    arms = Arms()
    assert arms.player.readiness.not_at(HOME, now=arms.now) == ""
    assert "left elbow must be within" in arms.player.readiness.not_at(HOME + 0.2 * (np.arange(14) == 2), now=arms.now)
    motion = arms.move(to({0: 0.1}))
    assert arms.player.readiness.not_at(HOME, now=arms.now) == "the robot moves"
    arms.until_end(motion)
    assert "no joint states" in arms.player.readiness.not_at(HOME, now=arms.now + 1.0)


def test_an_obstacle_that_spares_scripted_motions_lets_the_robot_be_put_down_and_nothing_else() -> None:
    arms = Arms()
    arms.player.readiness.note_obstacle("a motor is too hot", spares_scripted=True)
    send(arms.player, ramp(4, 0.01), stamp=int(arms.now * 1e9), now=arms.now)
    assert only(arms.player.take_results()).message == "a motor is too hot"
    motion = arms.move(to({0: 0.2}))
    arms.until_end(motion)
    assert motion.end is not None and motion.end.status is Status.EXECUTED
    second = arms.move(to({0: 0.0}))
    arms.step(5)
    arms.player.readiness.note_obstacle("emergency stop")
    arms.step()
    assert second.end is not None and second.end.message == "emergency stop"
