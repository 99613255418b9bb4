"""Tests what the driver of a follower must tell before its arm is commanded, without ROS."""

from __future__ import annotations

from typing import Any

import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.robot.interbotix.bus_timing import Spread, advice
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import (
    DriverRefused,
    check_arm,
    check_gripper_mode,
    hardware_errors,
    limp_motors,
)
from chunk_ppo_ros.nodes.robot.interbotix.findings import advice_of, driver_findings
from chunk_ppo_ros.nodes.robot.interbotix.motor_facts import MOTORS, MotorFacts
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import MotorWishes
from chunk_ppo_ros.robot import aloha

TOLD: dict[str, Any] = {
    "mode": "position",
    "names": aloha.ARM_JOINTS,
    "ids": [1, 2, 4, 6, 7, 8],
    "lower": aloha.LOWER_LIMITS[:6].tolist(),
    "upper": aloha.UPPER_LIMITS[:6].tolist(),
}


def test_an_arm_as_it_must_be_passes_with_limits_that_are_rounded() -> None:
    check_arm(**TOLD)
    check_arm(**{**TOLD, "upper": [limit + 0.009 for limit in TOLD["upper"]]})


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"mode": "velocity"}, "must be position, got velocity; support the arm"),
        ({"mode": ""}, "must be position, got none"),
        ({"names": []}, "in this order, got none; start the driver"),
        ({"names": [*aloha.ARM_JOINTS, "gripper"]}, "wrist_rotate, gripper; start the driver"),
        ({"ids": [1, 2, 4, 6, 7, 7]}, r"a motor id of its own, got \[1, 2, 4, 6, 7, 7\]"),
        ({"ids": [1, 2]}, "a motor id of its own"),
        ({"lower": []}, "must tell 6 lower limits, got 0; start it with the robot's URDF"),
        (
            {"lower": [limit - 0.011 for limit in TOLD["lower"]]},
            r"lower limits must be .*, got waist -3.153 \(",
        ),
        ({"upper": [float("nan")] * 6}, r"upper limits must be .*, got waist nan \(expected 3.142\)"),
    ],
)
def test_anything_else_is_refused_and_named(told: dict[str, Any], text: str) -> None:
    with pytest.raises(DriverRefused, match=text):
        check_arm(**{**TOLD, **told})


def test_a_gripper_in_another_mode_is_refused() -> None:
    check_gripper_mode("current_based_position")
    with pytest.raises(DriverRefused, match="must be current_based_position, got linear_position after it was set"):
        check_gripper_mode("linear_position")


def test_errors_and_torque_are_named_by_motor() -> None:
    # Bit 2 is overheating and bit 5 overload: 4 + 32 = 36. Bit 1 has no name here.
    assert hardware_errors({"waist": 0, "elbow": 0}) == ""
    assert hardware_errors({"waist": 36, "elbow": 2}) == (
        "waist (overheating and overload), elbow (Hardware_Error_Status 2)"
    )
    assert hardware_errors({}) == ""  # Interbotix's simulation tells no registers.
    assert limp_motors({"waist": 1, "elbow": 0}) == "elbow"
    assert limp_motors({}) == ""


def test_a_motor_that_tells_nothing_is_silent_only_where_another_one_told_something() -> None:
    facts = MotorFacts()
    facts.note("Profile_Velocity", ("waist", "elbow"), [0, 0])  # Interbotix's simulation tells this one.
    facts.note("Hardware_Error_Status", ("waist", "elbow"), [])
    assert facts.silent("Hardware_Error_Status", ("waist", "elbow")) == ""
    facts.note("Hardware_Error_Status", ("gripper",), [0])
    assert facts.silent("Hardware_Error_Status", ("waist", "elbow")) == "waist"
    facts.note("Hardware_Error_Status", ("waist", "elbow"), [0])
    assert facts.silent("Hardware_Error_Status", ("waist", "elbow", "gripper")) == "elbow"
    assert facts.values("Hardware_Error_Status", ("waist", "elbow", "gripper")) == {"waist": 0, "gripper": 0}


@pytest.mark.parametrize(
    ("reads", "periods", "text"),
    [
        ([0.002] * 10, [0.01] * 20, ""),
        ([0.017] * 10, [0.01] * 20, "a register takes 17 ms, too long for 50 Hz; set the latency_timer of its USB"),
        ([], [1 / 30] * 20, "joint states come at 30 Hz, and commands go at 50 Hz; see `update_rate` in"),
        ([0.002] * 10, [0.01] * 18 + [0.09] * 2, "gaps of 90 ms between joint states"),
        ([0.017] * 4, [1 / 30] * 4, ""),  # too few to judge
    ],
)
def test_a_slow_bus_is_named_with_what_to_do(reads: list[float], periods: list[float], text: str) -> None:
    found = advice(Spread.of(reads), Spread.of(periods), control_period=0.02)
    assert found.startswith(text) and bool(found) == bool(text)


def test_the_spread_of_times_is_told_in_ms() -> None:
    assert str(Spread.of([0.001, 0.002, 0.003])) == "2.0 ms median, 2.9 ms p95 of 3"
    assert str(Spread.of([])) == "not measured"


def test_findings_say_what_the_motors_told() -> None:
    facts = MotorFacts()
    facts.note("Position_P_Gain", MOTORS, [800] * 7)
    facts.note("Present_Temperature", MOTORS, [30, 31, 32, 30, 30, 30, 45])
    facts.note("Profile_Velocity", MOTORS, [131] * 6 + [0])
    facts.note("Current_Limit", ("gripper",), [200])
    found = {
        each.name: each for each in driver_findings("left", facts, [0.01] * 9, control_period=0.02, is_paced=False)
    }
    assert found["left bus"].value == (
        "a register takes not measured; joint states come at 100 Hz, period 10.0 ms median, 10.0 ms p95 of 9"
    )
    assert found["left temperatures"].value.startswith("waist 30 C, shoulder 31 C")
    assert found["left Position_P_Gain"].value == "800"
    assert found["left Profile_Velocity"].value == "3.14 rad/s"  # 131 * 0.229 * 2 pi / 60
    assert found["left gripper"].value == "Current_Limit 200 (538 mA)"
    assert not any(each.advice for each in found.values())
    facts.note("Position_P_Gain", MOTORS, [800, 100, 800, 800, 800, 800, 800])
    advice_ = advice_of(driver_findings("left", facts, [1 / 30] * 9, control_period=0.02, is_paced=True))
    assert advice_.startswith("left Position_P_Gain: the gain of shoulder is below 800, so that the arm sags")


@pytest.mark.parametrize(
    ("registers", "limit", "text"),
    [
        ({"Current_Limit": 300}, 600.0, "it grips with 807 mA, and robot.max_gripper_current is 600 mA"),
        ({"Current_Limit": 300, "Goal_Current": 200}, 600.0, ""),  # the smaller one counts
        ({"Current_Limit": 300}, 0.0, ""),  # nothing is limited
        ({"Current_Limit": 200}, 600.0, ""),
        ({}, 600.0, ""),
    ],
)
def test_a_grip_that_would_be_taken_for_a_fault_is_named(registers: dict[str, int], limit: float, text: str) -> None:
    facts = MotorFacts()
    facts.note("Present_Temperature", MOTORS, [30] * 7)
    for register, value in registers.items():
        facts.note(register, ("gripper",), [value])
    found = driver_findings("left", facts, [], control_period=0.02, is_paced=True, max_gripper_current=limit)
    (gripper,) = [each for each in found if each.name == "left gripper"]
    assert gripper.advice.startswith(text) and bool(gripper.advice) == bool(text)


def test_a_simulation_tells_that_it_tells_nothing() -> None:
    found = driver_findings("left", MotorFacts(), [], control_period=0.02, is_paced=False)
    assert [each.name for each in found] == ["left bus", "left motors"]


@pytest.mark.parametrize(("speed", "units"), [(0.0, 0), (3.14159, 131), (0.01, 1)])
def test_a_speed_is_written_in_the_unit_of_the_motors(speed: float, units: int) -> None:
    config = RobotConfig(max_velocity=max(0.01, speed), profile_velocity=speed)
    assert MotorWishes.of(config) == MotorWishes(0, units)


def test_the_motors_must_not_be_slower_than_the_commands() -> None:
    with pytest.raises(ValueError, match="robot.profile_velocity must be 0, or at least robot.max_velocity, 1.5 rad/s"):
        RobotConfig(max_velocity=1.5, profile_velocity=1.4)


def test_a_warning_of_a_hot_motor_comes_before_the_robot_holds() -> None:
    with pytest.raises(ValueError, match=r"robot.warn_temperature must be below robot.max_temperature, 70 .*, got 75"):
        RobotConfig(warn_temperature=75.0, max_temperature=70.0)
    assert RobotConfig(warn_temperature=75.0).max_temperature == 0.0
