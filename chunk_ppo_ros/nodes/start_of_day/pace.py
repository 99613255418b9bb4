"""How fast the check at the start of a day goes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Pace:
    """How fast the check goes.

    Attributes:
        speed: the largest speed of a joint, rad/s.
        gripper_speed: the speed of a gripper, openings a second; 0 for robot.scripted_velocity.
        settling: the seconds between the end of a motion and the look at where the robot is.
    """

    speed: float = 0.1
    gripper_speed: float = 0.0
    settling: float = 0.3
