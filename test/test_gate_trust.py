"""Tests which joint states are believed.

The control period is 0.02 s. Readings come every 0.01 s, as those of the driver do.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.reading_trust import ReadingTrust
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule

POSE = np.array(aloha.START_POSE[:7])
SLEEP = np.array([0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.1])
FAILED = np.full(7, -3.14159)
RULE = TrustRule(0.02, 0.2)


class Arm:
    """An arm whose readings come every 0.01 s."""

    def __init__(self, rule: TrustRule = RULE) -> None:
        self.trust = ReadingTrust("left", rule)
        self.now = 100.0
        self.commanded: np.ndarray | None = None
        self.age = 0.0  # of readings when they arrive, s

    def stamp(self) -> int:
        """Returns the ROS time, which is that of the steady clock here, ns."""
        return round(self.now * 1e9)

    def read(self, *states: np.ndarray, after: float = 0.01) -> list[bool]:
        """Whether each reading is believed."""
        found = []
        for state in states:
            self.now += after
            stamp = self.stamp() - round(self.age * 1e9)
            known = self.trust.judge(state, stamp=stamp, now=self.now, commanded=self.commanded, age=self.age)
            found.append(known)
        return found


@pytest.fixture
def arm() -> Arm:
    """An arm that is believed at the start pose, and was commanded there."""
    made = Arm()
    made.read(*[POSE] * 12)
    made.commanded = POSE
    assert made.trust.doubt == ""
    return made


def moved(joint: int, by: float, pose: np.ndarray = POSE) -> np.ndarray:
    state = np.array(pose)
    state[joint] += by
    return state


def test_nothing_is_believed_before_readings_agree_for_a_while() -> None:
    arm = Arm()
    assert "joint states of the left arm must have come" in arm.trust.doubt
    assert arm.read(*[POSE] * 12) == [False] * 10 + [True] * 2  # 0.1 s after the first
    slow = Arm()
    assert slow.read(*[POSE] * 6, after=0.03) == [False] * 4 + [True] * 2  # five readings


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (FAILED, "shoulder must be within -2.20..1.61 rad, got -3.1416"),
        (np.append(POSE[:6], -np.inf), "the motor of the gripper is farther than it can turn"),
        (np.zeros(7), "all six joints are exactly 0"),
        (moved(2, 0.2), "elbow changed by 0.20 rad in 0.020 s, and its motor can turn it by 0.10 rad"),
        (moved(6, 4.0), "gripper must be within -0.60..1.60, got 4.1"),
        (moved(0, np.nan), "waist must be within -3.49..3.49 rad, got nan"),
    ],
)
def test_a_reading_that_cannot_be_right_is_not_believed_and_named(arm: Arm, state: np.ndarray, text: str) -> None:
    assert arm.read(state) == [False]
    assert text in arm.trust.doubt and "left arm are not believed" in arm.trust.doubt
    assert arm.read(*[POSE] * 12)[-1]
    assert arm.trust.doubt == ""


def test_the_sleep_pose_is_believed() -> None:
    assert Arm().read(*[SLEEP] * 12)[-1]


def test_zero_is_a_pose_where_the_arm_was_led_to_it() -> None:
    arm = Arm()
    near = np.full(7, 0.05)
    arm.read(*[near] * 12)
    assert arm.read(np.zeros(7), np.zeros(7)) == [True, True]


def test_zeros_at_the_start_are_believed_when_the_operator_confirms_them() -> None:
    arm = Arm()
    assert not any(arm.read(*[np.zeros(7)] * 100))
    assert "all six joints are exactly 0; where the arm really stands so" in arm.trust.doubt
    arm.trust.confirm()
    assert arm.read(*[np.zeros(7)] * 12)[-1]


def test_every_fifth_reading_wrong_is_never_believed_for_long(arm: Arm) -> None:
    readings = [FAILED if index % 5 == 0 else POSE for index in range(100)]
    believed = arm.read(*readings)
    assert not any(believed)


def test_an_arm_near_its_last_command_goes_on_by_itself(arm: Arm) -> None:
    arm.read(FAILED, *[moved(1, 0.15)] * 14)
    assert arm.trust.doubt == ""


def test_an_arm_far_from_its_last_command_waits_for_the_operator(arm: Arm) -> None:
    arm.read(*[SLEEP] * 14)
    assert "the left wrist_angle is 1.70 rad from the last command, more than 0.2 rad" in arm.trust.doubt
    arm.read(*[SLEEP] * 100)
    assert arm.trust.doubt != ""
    arm.trust.confirm()
    assert arm.trust.doubt == ""


def test_the_allowed_leap_does_not_grow_while_readings_are_doubted(arm: Arm) -> None:
    for _ in range(100):
        arm.read(FAILED)
    arm.read(moved(2, 0.5))
    assert "elbow changed" in arm.trust.doubt or "not believed" in arm.trust.doubt


def test_a_motion_at_the_speed_of_the_motors_is_believed(arm: Arm) -> None:
    assert all(arm.read(*[moved(0, 0.0314 * step) for step in range(1, 60)]))


def test_readings_that_waited_for_this_process_are_believed(arm: Arm) -> None:
    """Both arrive at once. The first was read 0.09 s before the second, in which the motors turn by 0.28 rad."""
    now, stamp = arm.now + 0.1, arm.stamp() + 10_000_000
    assert arm.trust.judge(moved(0, 0.03), stamp=stamp, now=now, commanded=POSE)
    assert arm.trust.judge(moved(0, 0.31), stamp=stamp + 90_000_000, now=now, commanded=POSE)
    later = stamp + 10_000_000_000  # A clock that was set forward makes no leap of this size right.
    assert not arm.trust.judge(moved(0, 1.31), stamp=later, now=now, commanded=POSE)


def test_a_reset_of_our_simulator_is_believed_at_once() -> None:
    arm = Arm(TrustRule.of(RobotConfig(), simulated=True))
    assert arm.read(POSE) == [True]
    arm.commanded = POSE
    assert arm.read(moved(2, -1.0), moved(2, -0.7)) == [True, True]
    assert arm.trust.doubt == ""
    assert arm.read(FAILED, POSE) == [False, True]


@settings(deadline=None)
@given(st.lists(st.sampled_from([POSE, FAILED, np.zeros(7), SLEEP]), min_size=1, max_size=60))
def test_a_believed_reading_is_within_the_range_and_follows_ten_plausible_ones(states: list[np.ndarray]) -> None:
    arm = Arm()
    for index, state in enumerate(states):
        if arm.read(state) == [True]:
            assert state is not FAILED
            assert all(earlier is state for earlier in states[index - 9 : index])


def test_readings_after_a_silence_must_agree_again() -> None:
    arm = Arm(TrustRule(0.02, 0.2, max_silence=0.2))
    arm.read(*[POSE] * 12)
    arm.commanded = POSE
    assert arm.read(POSE, after=0.19) == [True]
    assert arm.read(POSE, after=0.21) == [False]
    assert "came back and must agree for a while" in arm.trust.doubt
    assert arm.read(*[POSE] * 12)[-1] and arm.trust.doubt == ""
    arm.read(moved(1, -1.0), after=1.0)  # The allowed change does not grow with the silence.
    assert "shoulder changed by 1.00 rad" in arm.trust.doubt


@pytest.mark.parametrize(("age", "side"), [(0.3, "before"), (-0.3, "after"), (3600.0, "before")])
def test_readings_whose_stamps_are_far_from_this_clock_are_not_believed(age: float, side: str) -> None:
    arm = Arm(TrustRule.of(RobotConfig(state_timeout=0.2), simulated=False))
    arm.read(*[POSE] * 12)
    arm.age = age
    assert arm.read(*[POSE] * 12) == [False] * 12
    for text in ("within 0.2 s of this clock (robot.state_timeout)", f"got {abs(age):.1f} s {side} it", "chrony"):
        assert text in arm.trust.doubt
    arm.age = 0.19
    assert arm.read(*[POSE] * 12)[-1]


def test_a_confirmation_of_zeros_is_for_this_time_alone() -> None:
    arm = Arm()
    arm.read(*[POSE] * 12)
    arm.trust.confirm()  # before there are any
    arm.read(*[np.zeros(7)] * 20)
    assert "all six joints are exactly 0" in arm.trust.doubt
    arm.trust.confirm()
    assert arm.read(*[np.zeros(7)] * 12)[-1]
    arm.read(*[POSE] * 14)
    assert arm.read(*[np.zeros(7)] * 14)[-1] is False
