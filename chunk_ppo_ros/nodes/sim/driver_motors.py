"""The motors of one follower as Interbotix's driver knows them: operating modes, torque and registers."""

from __future__ import annotations

from chunk_ppo_ros.robot import aloha

MOTORS = (*aloha.ARM_JOINTS, aloha.GRIPPER)
"""The joints of a follower that have a motor, in the driver's order."""

TORQUE, ERROR, P_GAIN = "Torque_Enable", "Hardware_Error_Status", "Position_P_Gain"

_AFTER_START = {TORQUE: 1, ERROR: 0, P_GAIN: 800, "Current_Limit": 200, "Present_Temperature": 35}
"""The registers of a motor after the start of a driver, with the values of Interbotix's motor configuration."""


class DriverMotors:
    """The settings of seven motors. Nothing moves here.

    Attributes:
        modes: the operating mode of each motor. A driver of a follower starts the gripper in linear_position.
        registers: the value of each motor, by the name of the register as Dynamixel's tables write it.
    """

    def __init__(self) -> None:
        self.modes = dict.fromkeys(aloha.ARM_JOINTS, "position") | {aloha.GRIPPER: "linear_position"}
        self.registers = {name: dict.fromkeys(MOTORS, value) for name, value in _AFTER_START.items()}

    @property
    def torque(self) -> dict[str, int]:
        """Whether each motor has torque, 0 or 1."""
        return self.registers[TORQUE]

    @property
    def errors(self) -> dict[str, int]:
        """The Hardware_Error_Status of each motor."""
        return self.registers[ERROR]

    def follows(self, name: str) -> bool:
        """Returns whether a motor goes to its goal: it has torque and no error."""
        return bool(self.torque[name]) and not self.errors[name]

    def set_mode(self, name: str, mode: str) -> None:
        """Changes the mode of a motor, which has torque afterwards."""
        self.modes[name], self.torque[name] = mode, 1

    def reboot(self, name: str, *, enable: bool) -> None:
        """Clears the error of a motor and what its memory held."""
        self.errors[name], self.registers[P_GAIN][name] = 0, _AFTER_START[P_GAIN]
        self.torque[name] = int(enable)
