"""Tests what the robot is sent, step by step, when a human takes over, and what is recorded of it.

In a control period of 0.02 s a joint moves 0.0628318 rad at the speed limit.
"""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.player_inputs import DT, HOME, REACH, observe, only, ramp, send

STEPS = 4  # H, of a full segment

SIMULATED = TrustRule.of(RobotConfig(), simulated=True)


class Operator:
    """A player in real time, and a human at its leaders. The robot is always where it was sent."""

    def __init__(self) -> None:
        self.player = ChunkPlayer(
            RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=SIMULATED, segment_steps=STEPS
        )
        self.now = 1.0
        self.state = np.array(HOME)
        self.sent: list[np.ndarray] = []
        observe(self.player, self.now)

    def step(self, leader: np.ndarray | None = None, *, sides: tuple[str, ...] = aloha.SIDES) -> None:
        """Plays one control period in which the leaders of `sides` stand at `leader`, or are silent."""
        self.now += DT
        observe(self.player, self.now, self.state)
        if leader is not None:
            for side in sides:
                self.player.observe_leader(side, leader[aloha.side_slice(side)], now=self.now)
        target = self.player.tick(self.now, stamp=round(self.now * 1e9))
        if target is not None:
            self.sent.append(target)
            self.state = target

    def largest_change(self) -> float:
        """Returns the largest change of an arm joint from one sent target to the next, the start pose included."""
        path = np.array([HOME, *self.sent])[:, aloha.ARM_INDICES]
        return float(np.max(np.abs(np.diff(path, axis=0))))


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_a_takeover_cuts_the_chunk_after_the_step_that_was_sent(operator: Operator) -> None:
    send(operator.player, ramp(10, 0.01), now=operator.now)
    for _ in range(3):
        operator.step()
    operator.player.take_over()
    result = only(operator.player.take_results())
    assert (result.stamp, result.status, result.num_steps, result.human_driven) == (1, Status.TAKEOVER, 3, False)
    np.testing.assert_allclose(result.commanded, ramp(3, 0.01), atol=1e-6)
    operator.step()
    np.testing.assert_array_equal(operator.sent[-1], operator.sent[-2])  # it holds


def test_a_chunk_is_refused_while_a_human_drives_and_played_afterwards(operator: Operator) -> None:
    operator.player.take_over()
    send(operator.player, ramp(2, 0.01), now=operator.now)
    assert "a human drives" in only(operator.player.take_results()).message
    operator.player.give_back()
    send(operator.player, ramp(2, 0.01), now=operator.now, stamp=2)
    for _ in range(3):
        operator.step()
    assert only(operator.player.take_results()).status is Status.EXECUTED


def test_what_a_human_drives_is_cut_into_segments(operator: Operator) -> None:
    operator.player.take_over()
    path = ramp(6, 0.01)
    for leader in path:
        operator.step(leader)
    operator.player.give_back()
    whole, rest = operator.player.take_results()
    np.testing.assert_allclose(whole.commanded, path[:4], atol=1e-6)
    np.testing.assert_allclose(rest.commanded, path[4:], atol=1e-6)
    assert (whole.human_driven, whole.status, whole.num_steps) == (True, Status.EXECUTED, 4)
    assert (rest.human_driven, rest.status, rest.num_steps, rest.message) == (True, Status.CANCELLED, 2, "handed back")
    assert rest.stamp > whole.stamp
    assert operator.player.segment == rest.stamp


def test_to_take_over_twice_or_to_hand_back_twice_changes_nothing(operator: Operator) -> None:
    operator.player.give_back()
    send(operator.player, ramp(10, 0.01), now=operator.now)
    operator.step()
    operator.player.give_back()
    assert operator.player.playing
    assert operator.player.take_results() == []
    operator.player.take_over()
    assert only(operator.player.take_results()).status is Status.TAKEOVER
    operator.step(operator.state)
    operator.player.take_over()
    operator.step(operator.state)
    operator.player.give_back()
    segment = only(operator.player.take_results())
    assert (segment.status, segment.num_steps) == (Status.CANCELLED, 2)


def test_a_segment_never_has_the_stamp_of_a_chunk(operator: Operator) -> None:
    operator.player.take_over()
    time_stands_still = round((operator.now + DT) * 1e9)
    send(operator.player, ramp(2, 0.0), now=operator.now, stamp=time_stands_still)
    operator.step(HOME)
    operator.player.give_back()
    refused, segment = operator.player.take_results()
    assert (refused.stamp, segment.stamp) == (time_stands_still, time_stands_still + 1_000)


def test_a_leader_that_is_away_is_not_followed_until_it_comes(operator: Operator) -> None:
    away, near = np.array(HOME), np.array(HOME)
    away[1], near[1] = HOME[1] + 0.51, HOME[1] + 0.05  # robot.max_start_jump is 0.5 rad
    operator.player.take_over()
    operator.step(away, sides=("left",))
    assert operator.sent == []
    assert "left leader's shoulder is more than 0.5 rad" in operator.player.teleoperation_problem
    assert "no joint states of the right leader" in operator.player.teleoperation_problem
    operator.step(near, sides=("left",))
    np.testing.assert_allclose(operator.sent, [near])  # the right arm holds
    operator.step(near)
    assert operator.player.teleoperation_problem == ""


def test_a_silent_leader_holds_and_must_come_back(operator: Operator) -> None:
    there, back = np.array(HOME), np.array(HOME)
    there[0], back[0] = 0.4, -0.2
    operator.player.take_over()
    for _ in range(5):
        operator.step(there)
    for _ in range(30):  # 0.6 s; for the first 0.5 s of it (robot.state_timeout) the leader counts as standing still
        operator.step()
    still = operator.sent[-1]
    assert still[0] == pytest.approx(0.4)
    result = operator.player.take_results()[-1]
    assert (result.status, result.human_driven) == (Status.CANCELLED, True)
    assert "no joint states of the left leader within 0.5 s" in result.message
    count = len(operator.sent)
    operator.step(back)  # 0.6 rad from where the robot holds
    assert len(operator.sent) <= count + 1
    np.testing.assert_array_equal(operator.sent[-1], still)


def test_nothing_jumps_at_the_takeover_within_and_at_the_hand_back(operator: Operator) -> None:
    send(operator.player, ramp(10, 0.06), now=operator.now)
    for _ in range(5):
        operator.step()
    operator.player.take_over()
    far = operator.state.copy()
    far[0] -= 0.5
    for leader in (far, far, far, HOME, far):  # wild, but never more than the speed limit
        operator.step(leader)
    operator.player.give_back()
    send(operator.player, np.tile(HOME, (5, 1)), now=operator.now, stamp=2)
    for _ in range(6):
        operator.step()
    assert operator.largest_change() == pytest.approx(REACH)
    assert [result.status for result in operator.player.take_results()] == [
        Status.TAKEOVER,
        Status.EXECUTED,
        Status.CANCELLED,
        Status.EXECUTED,
    ]


def test_followers_that_fall_silent_are_a_fault_also_under_a_human(operator: Operator) -> None:
    operator.player.take_over()
    operator.step(HOME)
    operator.player.watch(operator.now + 0.6)
    result = only(operator.player.take_results())
    assert (result.status, result.human_driven, result.num_steps) == (Status.FAULT, True, 0)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_pause_holds_the_human_too_and_a_reset_is_not_recorded(operator: Operator, freeze: bool) -> None:
    operator.player.take_over()
    for leader in ramp(2, 0.01):
        operator.step(leader)
    operator.player.suspend("why", freeze=freeze)
    assert only(operator.player.take_results()).status is Status.CANCELLED
    operator.step(ramp(3, 0.01)[-1])
    operator.step(ramp(4, 0.01)[-1])
    assert operator.sent[-1][0] == pytest.approx(0.02 if freeze else 0.04)
    assert operator.player.take_results() == []
    operator.player.resume()
    operator.step(ramp(5, 0.01)[-1])
    operator.player.give_back()
    result: ExecutionResult = only(operator.player.take_results())
    assert (result.human_driven, result.num_steps) == (True, 1)


def test_in_lockstep_a_human_waits_for_the_cameras_before_each_segment() -> None:
    player = ChunkPlayer(RobotConfig(), state_timeout=5.0, states_on_demand=True, trust=SIMULATED, segment_steps=STEPS)
    player.take_over()
    sent = []
    for number in range(30):
        now = 1.0 + number * DT
        observe(player, now)
        for side in aloha.SIDES:
            player.observe_leader(side, HOME[aloha.side_slice(side)], now=now)
        sent.append(player.tick(now, stamp=number) is not None)
    # There are nine empty steps, four of a segment, nine, four, and so on.
    assert sent == ([False] * 9 + [True] * 4) * 2 + [False] * 4


def test_at_the_next_takeover_a_leader_that_went_away_must_come_back_first(operator: Operator) -> None:
    operator.player.take_over()
    operator.step(HOME)
    operator.player.give_back()
    operator.player.take_over()
    operator.step(ramp(1, 0.6)[0], sides=("left",))
    assert "left leader's waist is more than 0.5 rad" in operator.player.teleoperation_problem
    np.testing.assert_array_equal(operator.sent[-1], operator.sent[0])


def test_after_a_pause_a_leader_that_went_away_must_come_back_first(operator: Operator) -> None:
    operator.player.take_over()
    operator.step(HOME)
    operator.player.suspend("paused")
    away = ramp(1, 0.6)[0]
    operator.step(away)
    assert operator.player.teleoperation_problem == "paused"
    operator.player.resume()
    operator.step(away, sides=("left",))
    assert "left leader's waist is more than 0.5 rad" in operator.player.teleoperation_problem
    np.testing.assert_array_equal(operator.sent[-1], operator.sent[0])


def test_the_robot_never_goes_back_to_where_it_once_held(operator: Operator) -> None:
    send(operator.player, ramp(10, 0.01), now=operator.now)
    operator.step()
    operator.player.take_over()  # it is to hold at 0.01 rad
    operator.player.suspend("the episode has ended", freeze=False)
    for _ in range(4):
        operator.step(ramp(1, 0.2)[0])
    for _ in range(30):
        operator.step()
    assert operator.state[0] == pytest.approx(0.2)


def test_a_robot_that_was_moved_while_nobody_drove_it_does_not_jump_back(operator: Operator) -> None:
    operator.player.take_over()
    operator.step(HOME)
    for _ in range(30):  # 0.6 s in which the leaders are silent
        operator.step()
    # Moved by hand to a place that is more than robot.max_start_jump (0.5 rad) from the last command.
    for angle in np.arange(0.05, 0.81, 0.05):
        operator.state = ramp(1, angle)[0]
        operator.step()
    operator.sent.clear()
    operator.step(HOME)
    assert "left leader's waist is more than 0.5 rad" in operator.player.teleoperation_problem
    operator.step(ramp(1, 1.0)[0])
    # The right leader is where its follower is. The left arm holds where it stands, then moves at the speed limit.
    np.testing.assert_allclose([target[0] for target in operator.sent], [0.8, 0.8 + REACH])


def test_a_human_who_drives_on_between_episodes_goes_on_from_the_last_command(operator: Operator) -> None:
    operator.player.take_over()
    for _ in range(3):
        operator.step(ramp(1, 0.4)[0])
    operator.state = ramp(1, 0.1)[0]  # the arm lags behind its command, 3 * 0.0628318 rad
    operator.player.suspend("the episode has ended", freeze=False)
    operator.step(ramp(1, 0.4)[0])
    assert operator.sent[-1][0] == pytest.approx(4 * REACH)


def test_after_a_reset_by_the_simulator_a_human_begins_where_the_robot_is(operator: Operator) -> None:
    operator.player.take_over()
    operator.step(ramp(1, 0.05)[0])
    operator.player.give_back()
    operator.player.take_over()  # and holds at 0.05 rad, without a segment
    operator.player.suspend("the episode is being reset")
    operator.state = np.array(HOME)
    operator.step()
    operator.player.resume()
    operator.state = np.array(HOME)
    operator.step(HOME)
    np.testing.assert_allclose(operator.sent[-1], HOME, atol=1e-6)


def make_real_operator(leader: np.ndarray = HOME, *, robot: np.ndarray = HOME) -> Operator:
    """Returns an operator of a robot with the limits of a real one. The joint states of all arms are believed."""
    operator = Operator()
    config = RobotConfig(max_velocity=1.5, max_acceleration=10.0, max_start_jump=0.2, max_following_error=0.3)
    operator.player = ChunkPlayer(
        config, state_timeout=0.5, states_on_demand=False, trust=TrustRule.of(config, simulated=False)
    )
    operator.state = np.array(robot)
    for _ in range(10):
        operator.step(leader)
    operator.player.take_over()
    return operator


@pytest.mark.parametrize("end", ["hand back", "fall silent"])
def test_the_robot_brakes_where_a_human_who_is_not_recorded_lets_go(end: str) -> None:
    operator, leader = make_real_operator(), np.array(HOME)
    operator.player.suspend("the episode has ended", freeze=False)
    for _ in range(12):
        leader = leader + 0.02 * (np.arange(14) == 0)
        operator.step(leader)
    if end == "hand back":
        operator.player.give_back()
    for _ in range(50):
        operator.step()
    steps = np.diff(np.array(operator.sent)[:, 0])
    assert np.max(steps) > 0.019 and abs(steps[-1]) < 1e-12
    assert np.all(np.abs(np.diff(steps)) <= 0.004 + 1e-12)


def test_a_human_who_presses_against_an_obstacle_must_come_back_to_the_arm() -> None:
    operator, leader = make_real_operator(), np.array(HOME)
    for _ in range(300):
        leader = np.minimum(leader + 0.02, np.where(np.arange(14) == 0, 1.0, HOME))
        operator.state = np.array(HOME)
        operator.step(leader)
    faults = [result for result in operator.player.take_results() if result.status is Status.FAULT]
    assert "the left waist does not follow" in only(faults).message
    assert np.allclose(operator.sent[-1], HOME)


def test_a_human_who_is_not_recorded_presses_against_an_obstacle_no_longer_than_one_who_is() -> None:
    operator, leader = make_real_operator(), np.array(HOME)
    operator.player.suspend("the episode has ended", freeze=False)
    for _ in range(300):
        leader = np.minimum(leader + 0.02, np.where(np.arange(14) == 0, 1.0, HOME))
        operator.state = np.array(HOME)
        operator.step(leader)
    assert np.allclose(operator.sent[-1], HOME)
    assert operator.player.take_results() == []
    assert "the left leader's waist is more than 0.2 rad" in operator.player.teleoperation_problem


def test_what_the_operator_has_seen_before_an_unrecorded_motion_does_not_count_after_it() -> None:
    operator = make_real_operator()
    operator.player.suspend("the episode has ended", freeze=False)
    operator.player.confirm()
    for _ in range(5):
        operator.step(HOME)
    operator.player.give_back()
    moved = np.array(HOME)
    for step in range(60):
        moved[0] = min(0.4, 0.01 * step)
        operator.state = moved
        operator.step()
    assert "look at the robot" in operator.player.readiness.waits(operator.now)


def test_a_forged_stamp_does_not_become_the_stamp_of_segments(operator: Operator) -> None:
    send(operator.player, ramp(2, 0.0), now=operator.now, stamp=2**60, age=-1e9)
    operator.player.take_over()
    operator.step(HOME)
    assert abs(operator.player.segment - operator.now * 1e9) < 1e4


def test_an_arm_that_left_its_last_command_follows_no_leader_before_the_operator_has_looked() -> None:
    operator, moved = make_real_operator(), np.array(HOME)
    operator.step(HOME)
    sent = operator.sent[-1]
    for step in range(60):
        moved[0] = min(0.4, 0.01 * step)
        operator.state = moved
        operator.step()
    for _ in range(5):
        operator.state = moved
        operator.step(moved)
    assert np.array_equal(operator.sent[-1], sent)
    assert "look at the robot" in operator.player.teleoperation_problem
    operator.player.resume()
    operator.player.suspend("the episode has ended", freeze=False)
    operator.player.resume()
    operator.state = moved
    operator.step(moved)
    assert np.allclose(operator.sent[-1], moved)


FAILED_READ = np.full(14, -np.pi)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (FAILED_READ, "joint states of the left leader are not believed: shoulder must be within -2.23..2.34 rad, got"),
        (np.zeros(14), "joint states of the left leader are not believed: all six joints are exactly 0"),
    ],
    ids=["-pi", "zeros"],
)
def test_a_leader_whose_read_failed_does_not_drive_its_follower(state: np.ndarray, text: str) -> None:
    operator = make_real_operator()
    for step in range(20):
        operator.step(HOME + 0.005 * step * (np.arange(14) == 0))
    assert operator.player.teleoperation_problem == ""
    begun = len(operator.sent)
    operator.step(state)
    assert text in operator.player.teleoperation_problem
    segment = operator.player.take_results()[-1]
    assert (segment.status, segment.human_driven) == (Status.CANCELLED, True)
    away = np.abs(np.array(operator.sent[begun:]) - operator.sent[begun - 1])
    assert np.all(away < 0.03)  # It brakes.
    back = HOME + 0.1 * (np.arange(14) == 0)
    for _ in range(6):  # The first of them leaps back, and then 0.1 s must pass.
        operator.step(back)
    assert "left leader" in operator.player.teleoperation_problem
    operator.step(back)
    assert operator.player.teleoperation_problem == ""


def test_a_leader_may_be_where_its_follower_cannot_go() -> None:
    operator, leader = make_real_operator(), np.array(HOME)
    for _ in range(70):
        leader[1] = max(-1.95, leader[1] - 0.02)  # The follower's shoulder ends at -1.85 rad.
        operator.step(leader)
    assert operator.player.teleoperation_problem == ""
    assert operator.sent[-1][1] == pytest.approx(-1.85005)


def test_a_follower_beyond_the_range_of_its_leader_is_led_back_within_the_limits() -> None:
    """In the sleep pose a follower's wrist_angle is at -2 rad. A leader's ends at -1.74533 rad."""
    sleeping, leader = np.array(HOME), np.array(HOME)
    for wrist in aloha.ARM_INDICES[[4, 10]]:
        sleeping[wrist], leader[wrist] = -2.0, -1.74533
    operator = make_real_operator(leader, robot=sleeping)
    for _ in range(40):
        operator.step(leader)
    assert operator.player.teleoperation_problem == ""
    np.testing.assert_allclose(operator.sent[-1], leader, atol=1e-9)
    assert np.max(np.abs(np.diff([sleeping, *operator.sent], axis=0))) <= 1.5 * DT + 1e-9
