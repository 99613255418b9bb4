"""Tests what the driver of a follower must tell before its arm is commanded, without ROS."""

from __future__ import annotations

from typing import Any

import pytest

from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import (
    DriverRefused,
    check_arm,
    check_gripper_mode,
    hardware_errors,
    limp_motors,
)
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
    assert hardware_errors(("waist", "elbow"), [0, 0]) == ""
    assert hardware_errors(("waist", "elbow"), [36, 2]) == (
        "waist (overheating and overload), elbow (Hardware_Error_Status 2)"
    )
    assert hardware_errors(("waist", "elbow"), []) == ""  # Interbotix's simulation tells no registers.
    assert limp_motors(("waist", "elbow"), [1, 0]) == "elbow"
    assert limp_motors(("waist", "elbow"), []) == ""
