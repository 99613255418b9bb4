"""Tests how a leader is led to its follower: slowly, without a leap, and not against resistance."""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.robot.gate.trust_rule import LEADER
from chunk_ppo_ros.robot.leaders.alignment import GIVE_WAY_ERROR, MAX_ERROR, MAX_TRIES, REST_TIME, Alignment

PERIOD = 0.02
SPEED = 0.3
START = np.array([0.0, -0.96, 1.16, 0.0, -0.3, 0.0])
GOAL = START + np.array([0.3, -0.2, 0.1, 0.0, 0.4, -0.5])


class Arm:
    """A leader that follows its commands as far as something in its way lets it."""

    def __init__(self, *, max_current: float = 0.0) -> None:
        self.alignment = Alignment(START, speed=SPEED, max_current=max_current)
        self.pose = np.array(START)
        self.highest = np.full(6, np.inf)
        self.current = 100.0
        self.now = 1.0
        self.sent = [np.array(START)]

    def step(self, goal: np.ndarray = GOAL) -> None:
        self.now += PERIOD
        currents = np.full(6, self.current)
        command = self.alignment.step(goal, self.pose, currents, now=self.now, period=PERIOD)
        self.sent.append(np.array(command))
        self.pose = np.minimum(command, self.highest)

    def run(self, seconds: float, goal: np.ndarray = GOAL) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.step(goal)

    @property
    def largest_step(self) -> float:
        return float(np.max(np.abs(np.diff(self.sent, axis=0))))


def test_a_leader_goes_to_the_goal_in_a_straight_line_and_not_faster_than_asked() -> None:
    arm = Arm()
    for _ in range(500):
        arm.step()
        if arm.alignment.is_aligned:
            break
    assert arm.now - 1.0 == pytest.approx(0.5 / SPEED + SPEED / 1.0, abs=0.1)  # the way of 0.5 rad, and the ramps
    np.testing.assert_array_equal(arm.pose, GOAL)
    assert arm.largest_step <= SPEED * PERIOD + 1e-9
    parts = (np.array(arm.sent) - START)[:, [0, 1, 2, 4, 5]] / (GOAL - START)[[0, 1, 2, 4, 5]]
    np.testing.assert_allclose(parts, parts[:, :1] * np.ones(5), atol=1e-9)


def test_the_first_and_the_last_steps_are_small() -> None:
    arm = Arm()
    arm.run(4.0)
    steps = np.max(np.abs(np.diff(arm.sent, axis=0)), axis=1)
    assert steps[0] <= 1.0 * PERIOD**2 + 1e-9
    assert np.all(np.abs(np.diff(steps)) <= 2.0 * PERIOD**2)


def test_a_goal_beyond_the_range_of_a_leader_is_clipped() -> None:
    arm = Arm()
    arm.run(
        10.0, goal=START + np.array([0.0, 0.0, 0.0, 0.0, -1.567, 0.0])
    )  # the follower's wrist_angle may be at -1.8675 rad
    assert arm.alignment.is_aligned
    assert arm.pose[4] == LEADER.lower[4]


def test_a_leader_stops_where_something_resists_and_goes_on_when_it_is_freed() -> None:
    arm = Arm()
    arm.highest[0] = 0.1
    arm.run(2.0)
    assert "something resists: its waist is 0.1" in arm.alignment.resistance
    assert "it tries again" in arm.alignment.resistance
    arm.run(1.0)
    assert abs(arm.sent[-1][0] - arm.pose[0]) < 1e-9  # The motors do not press.
    arm.highest[0] = np.inf
    arm.run(REST_TIME + 3.0)
    assert arm.alignment.is_aligned
    assert arm.alignment.resistance == ""
    assert arm.largest_step <= SPEED * PERIOD + 1e-9


def test_a_leader_that_gains_nothing_waits_until_it_is_asked_again() -> None:
    arm = Arm()
    arm.highest[0] = 0.1
    arm.run(30.0)
    assert "call takeover again" in arm.alignment.resistance
    stands = arm.sent[-1]
    arm.highest[0] = np.inf
    arm.run(10.0)
    np.testing.assert_array_equal(arm.sent[-1], stands)
    arm.alignment.ask_again()
    arm.run(4.0)
    assert arm.alignment.is_aligned
    assert MAX_TRIES == 3


def test_a_current_above_the_limit_is_resistance_after_half_a_second() -> None:
    arm = Arm(max_current=800.0)
    arm.current = 900.0
    arm.run(0.4)
    assert arm.alignment.resistance == ""
    arm.run(0.2)
    assert "is 900 mA, above 800 mA (robot.leader_max_current)" in arm.alignment.resistance


def test_a_command_does_not_run_away_from_a_leader_that_is_kept_back() -> None:
    """Not even where joint states come so unreliably that nothing lasts for half a second."""
    arm = Arm()
    arm.highest[0] = 0.1
    for _ in range(50):
        arm.run(0.3)
        arm.alignment.rest()  # as after joint states of -pi
        assert arm.sent[-1][0] - arm.pose[0] <= MAX_ERROR + SPEED * PERIOD
    assert "something resists" in arm.alignment.resistance


def test_a_leader_that_is_stopped_gives_way_to_what_it_presses_once() -> None:
    arm = Arm()
    arm.highest[0] = 0.1
    while arm.alignment.commanded[0] - arm.pose[0] <= GIVE_WAY_ERROR:
        arm.step()
    arm.alignment.stay(arm.pose, now=arm.now, period=PERIOD)
    assert arm.alignment.gives_way
    for _ in range(50):
        arm.alignment.stay(arm.pose - 0.3, now=arm.now, period=PERIOD)
    np.testing.assert_allclose(arm.alignment.commanded, arm.pose)
    assert not arm.alignment.gives_way
    arm.highest[0] = np.inf
    arm.now += REST_TIME
    arm.run(4.0)
    assert arm.alignment.is_aligned


@pytest.mark.parametrize("is_known", [True, False])
def test_a_leader_that_is_stopped_and_presses_nothing_stays(is_known: bool) -> None:
    arm = Arm()
    arm.run(1.0)
    stands = arm.alignment.commanded
    for _ in range(20):
        arm.alignment.stay(arm.pose - 0.04 if is_known else None, now=arm.now, period=PERIOD)
    np.testing.assert_array_equal(arm.alignment.commanded, stands)


def test_without_a_limit_no_current_and_no_unknown_current_is_resistance() -> None:
    arm = Arm()
    arm.current = 5000.0
    arm.run(4.0)
    assert arm.alignment.is_aligned
    silent = Arm(max_current=800.0)
    silent.current = np.nan
    silent.run(4.0)
    assert silent.alignment.is_aligned


def test_a_leader_that_rests_keeps_its_last_command_and_starts_slowly_again() -> None:
    arm = Arm()
    arm.run(1.0)
    stands = arm.alignment.commanded
    arm.alignment.rest()
    assert not arm.alignment.is_aligned
    np.testing.assert_array_equal(arm.alignment.commanded, stands)
    arm.step()
    assert np.max(np.abs(arm.sent[-1] - stands)) <= 1.0 * PERIOD**2 + 1e-9
