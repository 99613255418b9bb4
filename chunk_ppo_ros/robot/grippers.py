"""Defines the measures of ALOHA's grippers: what open and closed mean, and the linkage from motor to fingers."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

FloatT = TypeVar("FloatT", float, np.ndarray)

FINGER_LIMITS = (0.021, 0.057)
"""The range of a follower's finger joint in the URDF of Interbotix's aloha_vx300s, m.

Both conventions for grippers reach beyond it.
"""


@dataclasses.dataclass(frozen=True)
class GripperConvention:
    """Defines what open and closed mean for grippers. All maps are linear in the normalized opening.

    Attributes:
        finger_open: the finger position of an open follower, m.
        finger_closed: the finger position of a closed follower, m.
        motor_open: the motor angle of an open follower, rad.
        motor_closed: the motor angle of a closed follower, rad.
        leader_open: the motor angle of an open leader, rad.
        leader_closed: the motor angle of a closed leader, rad.
    """

    finger_open: float
    finger_closed: float
    motor_open: float
    motor_closed: float
    leader_open: float
    leader_closed: float

    def finger_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the finger position in m for a normalized opening."""
        return self.finger_closed + opening * (self.finger_open - self.finger_closed)

    def opening_from_finger(self, finger: FloatT) -> FloatT:
        """Returns the normalized opening for a finger position in m.

        The opening lies outside 0..1 where the finger lies outside the convention's range.
        """
        return (finger - self.finger_closed) / (self.finger_open - self.finger_closed)

    def motor_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the motor angle in rad that is commanded for a normalized opening."""
        return self.motor_closed + opening * (self.motor_open - self.motor_closed)

    def opening_from_motor(self, motor: FloatT) -> FloatT:
        """Returns the normalized opening for which a motor angle in rad is commanded."""
        return (motor - self.motor_closed) / (self.motor_open - self.motor_closed)

    def opening_from_leader(self, motor: FloatT) -> FloatT:
        """Returns the normalized opening that a leader's gripper at a motor angle in rad asks for."""
        return (motor - self.leader_closed) / (self.leader_open - self.leader_closed)

    def leader_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the motor angle in rad of a leader for an opening. It inverts `opening_from_leader`."""
        return self.leader_closed + opening * (self.leader_open - self.leader_closed)


GRIPPER_CONVENTIONS = {
    # These are the constants of the original ALOHA, which openpi and gym-aloha use.
    "openpi": GripperConvention(
        finger_open=0.05800,
        finger_closed=0.01844,
        motor_open=1.4910,
        motor_closed=-0.6213,
        leader_open=0.3083,
        leader_closed=-0.6842,
    ),
    # These are the constants of Interbotix's ROS 2 package for ALOHA.
    "interbotix": GripperConvention(
        finger_open=0.0579,
        finger_closed=0.0440,
        motor_open=1.6214,
        motor_closed=0.6197,
        leader_open=0.8298,
        leader_closed=-0.0552,
    ),
}


HORN_RADIUS = 0.022
"""Radius of the horn on a follower's gripper motor, m; Interbotix's driver has this value for the vx300s.

The horn and the gripper arm link the motor to the fingers. Motor angles and finger positions of both conventions agree
with this linkage.
"""

GRIPPER_ARM_LENGTH = 0.036
"""Length of the arm between a follower's gripper horn and its fingers, m; Interbotix's driver for the vx300s."""


def finger_from_motor(motor: np.ndarray) -> np.ndarray:
    """Returns the finger position in m for a gripper motor's angle q in rad: r sin q + sqrt(l^2 - r^2 cos^2 q)."""
    root = np.sqrt(GRIPPER_ARM_LENGTH**2 - (HORN_RADIUS * np.cos(motor)) ** 2)
    return HORN_RADIUS * np.sin(motor) + root


def motor_from_finger(finger: np.ndarray) -> np.ndarray:
    """Returns the gripper motor's angle in rad for a finger position in m. It inverts `finger_from_motor`.

    Angles lie within -pi/2..pi/2 rad, which is 0.014..0.058 m. A finger beyond one end gives the angle at that end, as
    in openpi, whose convention calls the outer end fully open.
    """
    sine = (HORN_RADIUS**2 + finger**2 - GRIPPER_ARM_LENGTH**2) / (2 * HORN_RADIUS * finger)
    return np.arcsin(np.clip(sine, -1.0, 1.0))
