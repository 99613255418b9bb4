"""Tests when a motor needs too much current, has no torque, or is too hot."""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.features import MotorTemperature
from chunk_ppo_ros.robot.gate.motor_watch import MotorWatch, hottest

CONFIG = RobotConfig(max_current=3000.0, max_gripper_current=600.0)
POSE = np.array(aloha.START_POSE)
USUAL = np.array([-20.0, 900.0, -700.0, 30.0, -150.0, 10.0, 200.0])
FAR = POSE + 0.2


def watch_of(side: str, *, config: RobotConfig = CONFIG, **currents: float) -> MotorWatch:
    """A watch of two arms of which one has other currents than usual, by joint, from 10.0 s until 10.6 s."""
    watch = MotorWatch(config)
    own = USUAL.copy()
    for joint, current in currents.items():
        own[[*aloha.ARM_JOINTS, aloha.GRIPPER].index(joint)] = current
    for now in np.arange(10.0, 10.61, 0.1):
        for each in aloha.SIDES:
            watch.observe(each, own if each == side else USUAL, now=now)
    return watch


def problem(watch: MotorWatch, *, now: float = 10.6, commanded: np.ndarray = POSE) -> str:
    return watch.problem(commanded, POSE, now=now)


def test_usual_currents_are_no_problem() -> None:
    assert problem(watch_of("left"), commanded=FAR) == ""


@pytest.mark.parametrize("current", [3200.0, -3200.0])
def test_a_high_current_that_lasts_is_an_obstruction(current: float) -> None:
    watch = watch_of("right", elbow=current)
    assert problem(watch, now=10.49) == ""
    text = "the right elbow is obstructed: its motor needs 3200 mA, more than 3000 mA (robot.max_current) for 0.5 s"
    assert problem(watch).startswith(text)
    assert len(watch.overloaded_grippers(10.6)) == 0


def test_a_current_that_falls_in_between_is_no_obstruction() -> None:
    watch = watch_of("right", elbow=3200.0)
    watch.observe("right", USUAL, now=10.6)
    watch.observe("right", np.array([0.0, 0.0, 3200.0, 0.0, 0.0, 0.0, 0.0]), now=10.7)
    assert problem(watch, now=11.1) == ""
    assert problem(watch, now=11.3) != ""


def test_the_small_motor_of_the_wrist_has_a_smaller_limit() -> None:
    # It stalls at 2300 mA, and the others at 4400 mA: 3000 * 2300 / 4400 = 1568 mA.
    assert problem(watch_of("left", wrist_rotate=1560.0)) == ""
    assert "wrist_rotate is obstructed: its motor needs 1600 mA, more than 1568 mA" in problem(
        watch_of("left", wrist_rotate=1600.0)
    )


def test_a_gripper_that_holds_at_its_limit_is_no_problem_and_beyond_it_is_named() -> None:
    assert problem(watch_of("left", gripper=538.0)) == ""
    watch = watch_of("right", gripper=-700.0)
    assert "the right gripper is obstructed: its motor needs 700 mA, more than 600 mA (robot.max_gripper" in problem(
        watch
    )
    np.testing.assert_array_equal(watch.overloaded_grippers(10.6), [13])


@pytest.mark.parametrize(("joint", "unit"), [("shoulder", "0.20 rad"), ("gripper", "0.20 of its opening")])
def test_a_motor_without_current_far_from_its_command_is_limp(joint: str, unit: str) -> None:
    watch = watch_of("left", **{joint: 0.0})
    assert problem(watch, commanded=POSE + 0.09) == ""
    assert problem(watch, now=10.4, commanded=FAR) == ""
    text = problem(watch, commanded=FAR)
    assert text.startswith(f"the left {joint} has no torque: it is {unit} from its command")
    assert "Hardware_Error_Status" in text and "prepare_robot" in text


def test_zeros_of_a_failed_read_say_nothing() -> None:
    watch = watch_of("left", elbow=3200.0)
    watch.observe("left", np.zeros(7), now=10.65)
    assert problem(watch, now=11.3, commanded=FAR) == ""


def test_without_limits_nothing_is_looked_at() -> None:
    watch = watch_of("left", config=RobotConfig(), elbow=9000.0, waist=0.0)
    assert not watch.is_on and problem(watch, commanded=FAR) == "" == watch.untold


def test_arms_that_tell_no_currents_are_named() -> None:
    watch = watch_of("left", elbow=3200.0)
    assert watch.untold == ""
    for side in aloha.SIDES:
        watch.observe(side, None, now=11.0)
    assert watch.untold == "left, right"
    assert problem(watch, now=12.0, commanded=FAR) == ""


def test_the_currents_of_joint_states_are_found_by_name() -> None:
    names = ["gripper", "elbow", "left_finger"]
    np.testing.assert_array_equal(
        aloha.side_currents(names, [5.0, 7.0, 0.0]), [np.nan, np.nan, 7.0, np.nan, np.nan, np.nan, 5.0]
    )
    assert aloha.side_currents(names, []) is None


def test_the_hottest_motor_above_a_limit() -> None:
    temperatures = [MotorTemperature("left elbow", 61.0), MotorTemperature("right waist", 72.0)]
    assert hottest(temperatures, 60.0) == temperatures[1]
    assert hottest(temperatures, 72.0) is None and hottest(temperatures, 0.0) is None and hottest([], 60.0) is None
