"""Judges whether a gripper opened and closed as far as it was commanded."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.robot.grippers import GripperConvention

OPEN, CLOSED = 1.0, 0.0
"""The openings that are commanded."""
TOLERANCE = 0.15
"""The largest distance from where the gripper should be, as a part of its range."""
STANDS = 0.25
"""The part of the asked motion below which a gripper counts as standing still."""


@dataclasses.dataclass(frozen=True)
class GripperMotion:
    """The measured openings of a gripper that was commanded open and then closed.

    Attributes:
        side: "left" or "right".
        opened: the opening after it was commanded open.
        closed: the opening after it was commanded closed.
    """

    side: str
    opened: float
    closed: float


def judge_gripper(motion: GripperMotion, convention: GripperConvention) -> Finding:
    """Returns whether the gripper followed.

    A state and an action may count openings by different numbers, so that the measured openings to expect follow from
    the commanded motor angles.
    """
    name = f"{motion.side} gripper"
    wide, shut = (convention.state_opening_from_motor(convention.motor_from_opening(x)) for x in (OPEN, CLOSED))
    part = (motion.opened - motion.closed) / (wide - shut)
    found = (
        f"open {_rounded(motion.opened)} (expected {_rounded(wide)}), "
        f"closed {_rounded(motion.closed)} (expected {_rounded(shut)})"
    )
    if part < -STANDS:
        return error(name, f"{found}: the wrong way", "check robot.gripper_convention and the motor's drive mode")
    if part < STANDS:
        advice = "call prepare_robot, which reboots a gripper that has stopped; check its cable and its mode"
        return error(name, f"{found}: it does not move", advice)
    if abs(motion.closed - shut) > TOLERANCE and abs(motion.opened - wide) <= TOLERANCE:
        return warn(name, found, "look whether something is between the fingers; compare robot.gripper_convention")
    if abs(motion.opened - wide) > TOLERANCE:
        return warn(name, found, "compare robot.gripper_convention with the robot's constants (docs/units.md)")
    return ok(name, found)


def _rounded(opening: float) -> str:
    """Returns an opening with two digits, and 0 without a sign."""
    return f"{round(opening, 2) + 0.0:.2f}"
