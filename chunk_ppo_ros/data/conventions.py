"""Converts recorded states and actions to those of the robot: the left arm first, joints in rad, grippers normalized.

It is for formats whose files do not say their units (HDF5, LeRobot). The settings `recordings` say them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import RecordingsConfig
from chunk_ppo_ros.config.entries.recordings import DEGREES, INTERBOTIX_2, NORMALIZED, RIGHT_FIRST
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GripperConvention

INTERBOTIX_2_SLOPE, INTERBOTIX_2_OFFSET = 0.0139, 0.0440
"""The line from the gripper's state v of Interbotix's ALOHA 2.0 recorder to the motor's angle, rad: 0.0139 v + 0.0440.

The recorder applies the formula for a finger in m to the motor's angle in rad (Interbotix/aloha, issue 20)."""

_Conversion = Callable[[np.ndarray, GripperConvention], np.ndarray]


def with_left_arm_first(values: np.ndarray, arm_order: str) -> np.ndarray:
    """Returns states or actions [T, 14] with the left arm first. Others, and those of another order, stay as they are.

    Args:
        values: float [T, D], whose first 7 dimensions are the first arm's.
        arm_order: which arm comes first in the recording (`recordings.arm_order`).
    """
    if arm_order != RIGHT_FIRST or values.shape[-1] != aloha.ACTION_DIM:
        return values
    return np.roll(values, aloha.SIDE_DIM, axis=-1)


def states_in_robot_units(
    states: np.ndarray, recordings: RecordingsConfig, convention: GripperConvention
) -> np.ndarray:
    """Returns recorded states float32 [T, D] with joints in rad and normalized grippers.

    States of another size than one or two whole arms stay as they are.

    Args:
        states: float [T, D], as recorded.
        recordings: the settings that say the recorded units.
        convention: the convention of the robot's grippers, with the linkage of its driver.
    """
    return _converted(states, recordings.joint_unit, _STATE_GRIPPERS[recordings.state_gripper_unit], convention)


def actions_in_robot_units(
    actions: np.ndarray, recordings: RecordingsConfig, convention: GripperConvention
) -> np.ndarray:
    """Returns recorded actions float32 [T, D] in units of the robot; see `states_in_robot_units`."""
    return _converted(actions, recordings.joint_unit, _ACTION_GRIPPERS[recordings.action_gripper_unit], convention)


def _converted(
    values: np.ndarray, joint_unit: str, of_gripper: _Conversion, convention: GripperConvention
) -> np.ndarray:
    num_arms, rest = divmod(values.shape[-1], aloha.SIDE_DIM)
    if rest or num_arms not in (1, len(aloha.SIDES)):
        return values
    grippers = aloha.GRIPPER_INDICES[:num_arms]
    converted = np.array(values, np.float64)
    if joint_unit == DEGREES:
        converted *= math.pi / 180.0
    converted[:, grippers] = of_gripper(np.asarray(values[:, grippers], np.float64), convention)
    return converted.astype(np.float32)


def _motor_from_interbotix_2(value: np.ndarray) -> np.ndarray:
    return INTERBOTIX_2_SLOPE * value + INTERBOTIX_2_OFFSET


def _action_from_finger(finger: np.ndarray, convention: GripperConvention) -> np.ndarray:
    linkage = convention.driver_linkage or convention.linkage
    return convention.opening_from_motor(linkage.motor_from_finger(finger))


_STATE_GRIPPERS: dict[str, _Conversion] = {
    # The recorder computed the opening from the finger that its driver reported.
    NORMALIZED: lambda value, convention: convention.state_opening_from_recorder(value),
    "percent": lambda value, convention: convention.state_opening_from_recorder(value / 100.0),
    "motor_rad": lambda value, convention: convention.state_opening_from_motor(value),
    "motor_deg": lambda value, convention: convention.state_opening_from_motor(np.radians(value)),
    "finger_m": lambda value, convention: convention.state_opening_from_driver(value),
    "finger_mm": lambda value, convention: convention.state_opening_from_driver(value / 1000.0),
    INTERBOTIX_2: lambda value, convention: convention.state_opening_from_motor(_motor_from_interbotix_2(value)),
}
_ACTION_GRIPPERS: dict[str, _Conversion] = {
    NORMALIZED: lambda value, convention: value,
    "percent": lambda value, convention: value / 100.0,
    "motor_rad": lambda value, convention: convention.opening_from_motor(value),
    "motor_deg": lambda value, convention: convention.opening_from_motor(np.radians(value)),
    "finger_m": _action_from_finger,
    "finger_mm": lambda value, convention: _action_from_finger(value / 1000.0, convention),
    INTERBOTIX_2: lambda value, convention: convention.opening_from_motor(_motor_from_interbotix_2(value)),
}
