"""Defines the linkages that turn the angle of a gripper's motor into the position of its fingers."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

FloatT = TypeVar("FloatT", float, np.ndarray)
"""A number, or an array of numbers, of which a function returns the same kind."""


@dataclasses.dataclass(frozen=True)
class GripperLinkage:
    """Links the angle of a gripper's motor to the position of its fingers.

    Attributes:
        horn_radius: the radius r of the horn on the motor, m.
        arm_length: the length l of the arm between the horn and a finger, m. It is longer than the radius.
    """

    horn_radius: float
    arm_length: float

    @property
    def reach(self) -> tuple[float, float]:
        """The innermost and the outermost position of a finger, m."""
        return self.arm_length - self.horn_radius, self.arm_length + self.horn_radius

    def finger_from_motor(self, motor: FloatT) -> FloatT:
        """Returns the finger position in m for a motor's angle q in rad: r sin q + sqrt(l^2 - r^2 cos^2 q)."""
        root = np.sqrt(self.arm_length**2 - (self.horn_radius * np.cos(motor)) ** 2)
        return self.horn_radius * np.sin(motor) + root

    def motor_from_finger(self, finger: FloatT) -> FloatT:
        """Returns the motor's angle in rad for a finger position in m > 0. It inverts `finger_from_motor`.

        Angles lie within -pi/2..pi/2 rad, which is the reach of the linkage. A finger beyond one end gives the angle at
        that end, as in openpi, whose convention calls the outer end fully open.
        """
        sine = (self.horn_radius**2 + finger**2 - self.arm_length**2) / (2 * self.horn_radius * finger)
        return np.arcsin(np.clip(sine, -1.0, 1.0))


VX300S = GripperLinkage(horn_radius=0.022, arm_length=0.036)
"""The linkage of Interbotix's driver for the vx300s, the arm of the original ALOHA."""

ALOHA_VX300S = GripperLinkage(horn_radius=0.0275, arm_length=0.035)
"""The linkage of Interbotix's driver for aloha_vx300s, the model that aloha_bringup launches for followers."""

LINKAGES = {"vx300s": VX300S, "aloha_vx300s": ALOHA_VX300S}
"""The known linkages, by the name of the arm in Interbotix's driver."""
