"""The motors of one follower as Interbotix's driver knows them: modes, torque, goals and registers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from chunk_ppo_ros.robot import aloha

MOTORS = (*aloha.ARM_JOINTS, aloha.GRIPPER)
"""The joints of a follower that have a motor, in the driver's order."""

_MEMORY = {
    "Position_P_Gain": 800,
    "Position_I_Gain": 0,
    "Position_D_Gain": 0,
    "Profile_Velocity": 0,
    "Profile_Acceleration": 0,
    "Goal_Current": 200,
}
"""The registers that a motor loses by a reboot, and what they are then."""
_KEPT = {"Current_Limit": 200, "Present_Temperature": 35}
"""Other registers of a motor."""
_LOCKED_UNDER_TORQUE = ("Current_Limit",)
_COUNTS = 4096 / (2 * math.pi)  # of a position register in a radian
_MIDDLE = 2048  # the count at 0 rad


class DriverMotors:
    """Seven motors. What moves them is not here.

    Attributes:
        positions: the angle of each motor, rad.
        goals: the angle that each motor was told, rad.
        modes: the operating mode of each motor. A driver of a follower starts the gripper in linear_position.
        profile_type: the type of the profiles that the driver tells.
        torque: whether each motor has torque.
        errors: the Hardware_Error_Status of each motor.
        registers: the other registers, by name and motor. Names are those of Robotis' control table.
        tells_errors: whether a motor with an error tells its registers.
    """

    def __init__(self) -> None:
        self.positions = dict(zip(MOTORS, aloha.START_POSE[: len(MOTORS)].tolist(), strict=True))
        self.goals = dict(self.positions)
        self.modes = dict.fromkeys(aloha.ARM_JOINTS, "position") | {aloha.GRIPPER: "linear_position"}
        self.profile_type = "velocity"
        self.torque = dict.fromkeys(MOTORS, True)
        self.errors = dict.fromkeys(MOTORS, 0)
        self.registers = {name: dict.fromkeys(MOTORS, value) for name, value in (_MEMORY | _KEPT).items()}
        self.tells_errors = False

    def follows(self, name: str) -> bool:
        """Returns whether a motor goes to its goal: it has torque and no error."""
        return self.torque[name] and not self.errors[name]

    def go_to(self, angles: Mapping[str, float]) -> None:
        """Puts motors at angles at once, rad, as Interbotix's simulation does. The simulator says how fast arms are."""
        self.goals.update(angles)
        self.positions.update(angles)

    def set_mode(self, name: str, mode: str) -> None:
        """Changes the mode of a motor, which drops its goal and gives it torque."""
        self.modes[name], self.torque[name], self.goals[name] = mode, True, self.positions[name]

    def set_torque(self, name: str, *, enable: bool) -> None:
        """Switches the torque of a motor on or off."""
        self.torque[name] = enable

    def reboot(self, name: str, *, enable: bool) -> None:
        """Clears the error of a motor and what its memory held, and drops its goal."""
        self.errors[name] = 0
        for register, value in _MEMORY.items():
            self.registers[register][name] = value
        self.torque[name], self.goals[name] = enable, self.positions[name]

    def read(self, register: str, name: str) -> int | None:
        """Returns a motor's register, or None where it cannot be read: it is unknown, or the motor has an error.

        Each answer of a motor with an error carries the error, so that Interbotix's driver reads nothing of it.
        """
        if self.errors[name] and not self.tells_errors:
            return None
        if register == "Hardware_Error_Status":
            return self.errors[name]
        if register == "Torque_Enable":
            return int(self.torque[name])
        if register in ("Goal_Position", "Present_Position"):
            angles = self.goals if register == "Goal_Position" else self.positions
            return _MIDDLE + round(angles[name] * _COUNTS)
        return self.registers[register][name] if register in self.registers else None

    def write(self, register: str, name: str, value: int) -> None:
        """Writes a register. As in the motors, an unknown one changes nothing, and some are locked under torque."""
        locked = register in _LOCKED_UNDER_TORQUE and self.torque[name]
        if register in self.registers and not locked:
            self.registers[register][name] = value
