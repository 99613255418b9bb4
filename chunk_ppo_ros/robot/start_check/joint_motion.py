"""Judges the small motion of one joint: whether it followed, in the right direction, and alone."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.robot import aloha

STEP = math.radians(2.0)
"""How far each joint is moved, rad."""
STANDS = 0.25
"""The part of the asked motion below which a joint counts as standing still, and another joint as having moved none."""
GOOD = (0.6, 1.4)
"""The parts of the asked motion between which a joint follows well. Backlash and gravity take some of it."""
RETURN_ERROR = 0.5
"""The part of the asked motion by which a joint may be away from where it was, after it has gone back."""


@dataclasses.dataclass(frozen=True)
class JointMotion:
    """A joint that was commanded away and back.

    Attributes:
        index: the joint, among the 14 dimensions.
        asked: how far it was commanded, rad; negative for the other direction.
        before: float [14], where the robot was measured before.
        there: float [14], where it was after the joint was commanded away.
        back: float [14], where it was after the joint was commanded back.
    """

    index: int
    asked: float
    before: np.ndarray
    there: np.ndarray
    back: np.ndarray


def step_of(pose: np.ndarray, index: int) -> float:
    """Returns by how much a joint is moved from a pose, float [14]: `STEP`, or back where its range would end."""
    return STEP if pose[index] + STEP <= aloha.UPPER_LIMITS[index] else -STEP


def pose_with(index: int, position: float) -> np.ndarray:
    """Returns a pose, float64 [14], in which one joint is at a position and all others stay (NaN)."""
    pose = np.full(aloha.ACTION_DIM, np.nan)
    pose[index] = position
    return pose


def name_of(index: int) -> str:
    """Returns a joint in words, such as "left elbow"."""
    side, joint = divmod(index, aloha.SIDE_DIM)
    return f"{aloha.SIDES[side]} {(*aloha.ARM_JOINTS, aloha.GRIPPER)[joint]}"


def judge_joint(motion: JointMotion) -> Finding:
    """Returns whether the joint followed."""
    name, moved = name_of(motion.index), motion.there - motion.before
    part = float(moved[motion.index] / motion.asked)
    found = f"asked {_degrees(motion.asked)}, moved {_degrees(moved[motion.index])}"
    others = np.abs(moved)
    others[[motion.index, *aloha.GRIPPER_INDICES]] = 0.0
    other = int(np.argmax(others))
    if others[other] > STANDS * abs(motion.asked) and part < STANDS:
        found = f"{found}, and the {name_of(other)} moved {_degrees(moved[other])}"
        return error(name, found, "check the motors' ids and which driver has which arm")
    if part < -STANDS:
        return error(name, f"{found}: the wrong way", "check the motor's drive mode, and which motor has which id")
    if part < STANDS:
        return error(name, f"{found}: it does not move", "check its torque, its cable and the log of the driver")
    left = float(motion.back[motion.index] - motion.before[motion.index])
    if abs(left) > RETURN_ERROR * abs(motion.asked):
        found = f"{found}, and is {_degrees(left)} away after it went back"
        return warn(name, found, "look for play in the joint, a load, or a gain that is too low")
    if not GOOD[0] <= part <= GOOD[1]:
        return warn(name, found, "look for play in the joint, a load, or a gain that is too low")
    return ok(name, found)


def _degrees(angle: float) -> str:
    return f"{math.degrees(angle):+.2f} deg"
