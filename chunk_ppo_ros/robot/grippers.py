"""Defines what open and closed mean for ALOHA's grippers, in the angles of motors and the positions of fingers.

The opening of a state is linear in the position of a finger, and the opening of an action is linear in the angle of the
motor, as in the original ALOHA. The linkage joins the two (`gripper_linkage.py`). A driver computes the fingers that it
reports from the angle of the motor, and may do so by another linkage than the one that an opening is defined by. The
motor's angle is what was measured, so a state is read from it where there is one.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config.entries.gripper_numbers import GripperNumbers, parse_gripper_numbers
from chunk_ppo_ros.config.robot import RobotConfig
from chunk_ppo_ros.robot.gripper_linkage import ALOHA_VX300S, VX300S, FloatT, GripperLinkage

FINGER_LIMITS = (0.021, 0.057)
"""The range of a follower's finger joint in the URDF of Interbotix's aloha_vx300s, m.

All conventions for grippers reach beyond it.
"""

MOTOR_MARGIN = 0.35
"""The angle beyond the ends of its way at which a gripper's motor is still taken for real, rad."""

REACH_MARGIN = 0.01
"""The distance beyond the reach of a linkage at which a finger is still taken for real, m.

The reaches of the known linkages differ by less.
"""


@dataclasses.dataclass(frozen=True)
class GripperConvention:
    """Defines what open and closed mean for grippers.

    Attributes:
        finger_open: the finger position of an open follower, m.
        finger_closed: the finger position of a closed follower, m.
        motor_open: the motor angle of an open follower, rad.
        motor_closed: the motor angle of a closed follower, rad.
        leader_open: the motor angle of an open leader, rad.
        leader_closed: the motor angle of a closed leader, rad.
        linkage: the linkage with which these finger positions and motor angles agree.
        driver_linkage: the linkage by which the robot's driver computes fingers from motors; None where it is the same.
    """

    finger_open: float
    finger_closed: float
    motor_open: float
    motor_closed: float
    leader_open: float
    leader_closed: float
    linkage: GripperLinkage = VX300S
    driver_linkage: GripperLinkage | None = None

    def __post_init__(self) -> None:
        for part in ("motor", "finger", "leader"):
            opened, closed = getattr(self, f"{part}_open"), getattr(self, f"{part}_closed")
            if opened == closed:
                raise ValueError(f"{part}_open must differ from {part}_closed, got {opened} for both; correct one")

    def finger_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the finger position in m for the normalized opening of a state, by the linkage of the convention."""
        return self.finger_closed + opening * (self.finger_open - self.finger_closed)

    def opening_from_finger(self, finger: FloatT) -> FloatT:
        """Returns the normalized opening of a state for a finger position in m, by the linkage of the convention.

        The opening lies outside 0..1 where the finger lies outside the convention's range.
        """
        return (finger - self.finger_closed) / (self.finger_open - self.finger_closed)

    def motor_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the motor angle in rad that is commanded for the normalized opening of an action."""
        return self.motor_closed + opening * (self.motor_open - self.motor_closed)

    def opening_from_motor(self, motor: FloatT) -> FloatT:
        """Returns the normalized opening of the action that commands a motor angle in rad."""
        return (motor - self.motor_closed) / (self.motor_open - self.motor_closed)

    def state_opening_from_motor(self, motor: FloatT) -> FloatT:
        """Returns the normalized opening of a state whose motor is at an angle in rad.

        It does not depend on the linkage by which the driver computes fingers.
        """
        return self.opening_from_finger(self.linkage.finger_from_motor(motor))

    def motor_from_state_opening(self, opening: FloatT) -> FloatT:
        """Returns the motor angle in rad at which a state has an opening. It inverts `state_opening_from_motor`."""
        return self.linkage.motor_from_finger(self.finger_from_opening(opening))

    def state_opening_from_driver(self, finger: FloatT) -> FloatT:
        """Returns the normalized opening of a state for a finger position in m that the driver reports."""
        if self._driver == self.linkage:
            return self.opening_from_finger(finger)
        return self.state_opening_from_motor(self._driver.motor_from_finger(finger))

    def driver_finger_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the finger position in m by which the driver knows an opening. It inverts the method above."""
        if self._driver == self.linkage:
            return self.finger_from_opening(opening)
        return self._driver.finger_from_motor(self.motor_from_state_opening(opening))

    def state_opening_from_recorder(self, opening: FloatT) -> FloatT:
        """Returns the normalized opening of a state for one that a recorder computed from the driver's finger.

        A recorder that takes the constants of the convention does not ask by which linkage the driver computed the
        finger. Where that is the convention's own, the opening is returned as it is.
        """
        if self._driver == self.linkage:
            return opening
        return self.state_opening_from_driver(self.finger_from_opening(opening))

    def opening_from_leader(self, motor: FloatT) -> FloatT:
        """Returns the normalized opening that a leader's gripper at a motor angle in rad asks for."""
        return (motor - self.leader_closed) / (self.leader_open - self.leader_closed)

    def leader_from_opening(self, opening: FloatT) -> FloatT:
        """Returns the motor angle in rad of a leader for an opening. It inverts `opening_from_leader`."""
        return self.leader_closed + opening * (self.leader_open - self.leader_closed)

    @property
    def motor_limit(self) -> float:
        """The largest angle of a follower's motor that is taken for real, rad. The fingers turn back at pi/2."""
        return max(np.pi / 2, abs(self.motor_open), abs(self.motor_closed)) + MOTOR_MARGIN

    def problem_of(self, finger: float) -> str:
        """Returns why a finger position in m that the driver reports cannot be, or an empty string. NaN is unknown."""
        low, high = self._driver.reach
        if not (finger < low - REACH_MARGIN or finger > high + REACH_MARGIN):
            return ""
        return (
            f"left_finger must be within {low - REACH_MARGIN:.3f}..{high + REACH_MARGIN:.3f} m (the reach of the "
            f"gripper's linkage and {REACH_MARGIN} m), got {finger:.4g}; check the gripper and its driver"
        )

    @property
    def _driver(self) -> GripperLinkage:
        """The linkage by which the driver computes fingers."""
        return self.driver_linkage or self.linkage


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
    # These are the motor angles of Interbotix's ROS 2 package, with the fingers that its driver reports at them for the
    # model that aloha_bringup launches.
    "aloha_vx300s": GripperConvention(
        finger_open=0.06244,
        finger_closed=0.04288,
        motor_open=1.6214,
        motor_closed=0.6197,
        leader_open=0.8298,
        leader_closed=-0.0552,
        linkage=ALOHA_VX300S,
    ),
}


def convention_of(config: RobotConfig) -> GripperConvention:
    """Returns the convention of a robot: that of `robot.gripper_convention` with the numbers of `gripper_numbers`."""
    numbers = parse_gripper_numbers("robot.gripper_numbers", config.gripper_numbers)
    return with_numbers(GRIPPER_CONVENTIONS[config.gripper_convention], numbers)


def with_numbers(convention: GripperConvention, numbers: GripperNumbers) -> GripperConvention:
    """Returns a convention in which a user's own numbers replace the known ones.

    Where a motor angle or the linkage is replaced, finger positions that are not given follow from the motor angles by
    the linkage.
    """
    linkage = GripperLinkage(*numbers.linkage) if numbers.linkage else convention.linkage
    driver_linkage = GripperLinkage(*numbers.driver_linkage) if numbers.driver_linkage else convention.driver_linkage
    motor_open = _first(numbers.motor_open, convention.motor_open)
    motor_closed = _first(numbers.motor_closed, convention.motor_closed)
    finger_open, finger_closed = convention.finger_open, convention.finger_closed
    if numbers.linkage or numbers.motor_open is not None or numbers.motor_closed is not None:
        finger_open = float(linkage.finger_from_motor(motor_open))
        finger_closed = float(linkage.finger_from_motor(motor_closed))
    return GripperConvention(
        finger_open=_first(numbers.finger_open, finger_open),
        finger_closed=_first(numbers.finger_closed, finger_closed),
        motor_open=motor_open,
        motor_closed=motor_closed,
        leader_open=_first(numbers.leader_open, convention.leader_open),
        leader_closed=_first(numbers.leader_closed, convention.leader_closed),
        linkage=linkage,
        driver_linkage=driver_linkage,
    )


def _first(own: float | None, known: float) -> float:
    return known if own is None else own
