"""Keeps what the driver of one follower has told of its motors. Nothing here knows ROS.

Registers have the names of Robotis' control table of the X series. Interbotix's driver reads nothing of a motor with a
hardware error, because each of its answers carries the error: it logs that and ends the list before this motor. Its
simulation answers with an empty list for nearly every register. So an answer that is too short means an error only
where the driver has told something of another motor.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

from chunk_ppo_ros.robot import aloha

ERROR = "Hardware_Error_Status"
TORQUE = "Torque_Enable"
TEMPERATURE = "Present_Temperature"
POSITION_GAIN = "Position_P_Gain"
PROFILE_VELOCITY = "Profile_Velocity"
CURRENT_LIMIT = "Current_Limit"
GOAL_CURRENT = "Goal_Current"
GOAL_POSITION = "Goal_Position"
PRESENT_POSITION = "Present_Position"

TOLD_BY_SIMULATION = (PROFILE_VELOCITY, "Profile_Acceleration")
"""The registers that Interbotix's simulation tells."""
VELOCITY_UNIT = 0.229 * 2.0 * 3.141592653589793 / 60.0
"""The unit of Profile_Velocity, rad/s: 0.229 revolutions a minute."""
CURRENT_UNIT = 2.69
"""The unit of currents, mA."""
POSITION_UNIT = 2.0 * 3.141592653589793 / 4096.0
"""The unit of positions, rad."""
MOTORS = (*aloha.ARM_JOINTS, aloha.GRIPPER)
"""The motors of a follower that the driver has a name for, which is that of their joint."""
NUM_ROUND_TRIPS = 50
"""The number of round trips that are remembered."""


class MotorFacts:
    """Holds the newest registers of the seven motors of an arm, and how long it took to read them.

    Attributes:
        tells_registers: whether the driver has told a register that Interbotix's simulation does not know.
        round_trips: the seconds of the last reads of one register of one motor.
        profile_type: what the arm's Profile_Velocity means, "velocity" or "time"; empty while it is not known.
        sleep_positions: where the driver puts the six joints down, rad; empty while it is not known.
    """

    def __init__(self) -> None:
        self.tells_registers = False
        self.round_trips: collections.deque[float] = collections.deque(maxlen=NUM_ROUND_TRIPS)
        self.profile_type = ""
        self.sleep_positions: tuple[float, ...] = ()
        self._values: dict[str, dict[str, int]] = collections.defaultdict(dict)

    def note(self, register: str, motors: Sequence[str], values: Sequence[int]) -> None:
        """Stores an answer.

        Args:
            register: the register.
            motors: the motors that were asked, in the order of the driver.
            values: their values. The list ends before the first motor that did not answer.
        """
        for motor in motors:
            self._values[register].pop(motor, None)
        self._values[register].update(zip(motors, (int(value) for value in values), strict=False))
        if len(values) and register not in TOLD_BY_SIMULATION:
            self.tells_registers = True

    def value(self, register: str, motor: str) -> int | None:
        """Returns the newest value of a motor's register, or None where it is not known."""
        return self._values[register].get(motor)

    def values(self, register: str, motors: Sequence[str] = MOTORS) -> dict[str, int]:
        """Returns the newest values of a register by motor, without the motors whose value is not known."""
        return {motor: value for motor in motors if (value := self.value(register, motor)) is not None}

    def silent(self, register: str, motors: Sequence[str]) -> str:
        """Returns the first motor that did not answer although the driver tells registers, or an empty string."""
        missing = [motor for motor in motors if self.value(register, motor) is None]
        return missing[0] if missing and self.tells_registers else ""
