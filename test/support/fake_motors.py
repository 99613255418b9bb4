"""The motors of one follower as Interbotix's driver sees them, with modes, torque, errors and the gripper's linkage."""

from __future__ import annotations

import math

from chunk_ppo_ros.robot import aloha

ARM_POSE = aloha.START_POSE[:6].tolist()
MOTOR_SPEED = 6.0  # rad/s, as fast as the motors turn without a limit in their profile
HORN_RADIUS, ARM_LENGTH = 0.0275, 0.035  # m, the linkage of aloha_vx300s
FINGER_VELOCITY = FINGER_EFFORT = 0.0  # the driver publishes these constants
CURRENT = 120.0  # mA
READ_FAILURE = -math.pi  # what a failed read is taken for, rad
COUNTS = 4096 / (2 * math.pi)  # of a position register in a radian
MEMORY = {
    "Position_P_Gain": 800,
    "Position_I_Gain": 0,
    "Position_D_Gain": 0,
    "Profile_Velocity": 0,
    "Profile_Acceleration": 0,
    "Goal_Current": 200,
}
"""The registers that a motor loses by a reboot, and what they are then."""
KEPT = {"Current_Limit": 200, "Present_Temperature": 35}
"""Other registers of a motor."""


def finger_of(motor: float) -> float:
    """Returns the finger position in m for an angle of the gripper's motor in rad."""
    return HORN_RADIUS * math.sin(motor) + math.sqrt(ARM_LENGTH**2 - (HORN_RADIUS * math.cos(motor)) ** 2)


class FakeMotors:
    """Seven motors. Commands that harm a real driver are kept in `mistakes`.

    Attributes:
        positions: the angle of each motor, rad.
        modes: the operating mode of each motor.
        torque: whether each motor has torque.
        errors: Hardware_Error_Status of each motor.
        stuck: whether errors are still there after a reboot.
        reads: whether the motors answer.
        registers: the registers beside those of errors, torque and positions, by name and motor.
        speed: how fast they turn, rad/s.
        stubborn: registers that keep their values whatever is written.
        mistakes: what a driver must never be told.
        commands: the commands that arrived, as ("arm", angles) or ("gripper", number).
    """

    def __init__(self) -> None:
        self.names = (*aloha.ARM_JOINTS, aloha.GRIPPER)
        self.positions = dict(zip(self.names, [*ARM_POSE, 0.0], strict=True))
        self.goals = dict(self.positions)
        self.modes = dict.fromkeys(aloha.ARM_JOINTS, "position") | {aloha.GRIPPER: "linear_position"}
        self.torque = dict.fromkeys(self.names, True)
        self.errors = dict.fromkeys(self.names, 0)
        self.registers = {name: dict.fromkeys(self.names, value) for name, value in (MEMORY | KEPT).items()}
        self.stubborn: set[str] = set()
        self.speed = MOTOR_SPEED
        self.stuck = False
        self.reads = True
        self.currents: dict[str, float] = {}  # of the motors that have another current than `CURRENT`, mA
        self.mistakes: list[str] = []
        self.commands: list[tuple[str, list[float]]] = []

    def command_arm(self, angles: list[float]) -> None:
        """Takes a command of the group arm, rad."""
        self.commands.append(("arm", angles))
        if len(angles) != len(aloha.ARM_JOINTS) or not all(map(math.isfinite, angles)):
            self.mistakes.append(f"a command of the arm is malformed: {angles}")
            return
        self.goals.update(zip(aloha.ARM_JOINTS, angles, strict=True))

    def command_gripper(self, number: float) -> None:
        """Takes a command of the gripper, whose unit its mode decides: rad, or m between both fingers."""
        self.commands.append(("gripper", [number]))
        if self.modes[aloha.GRIPPER] == "linear_position" or not math.isfinite(number):
            self.mistakes.append(f"the gripper is told {number} in {self.modes[aloha.GRIPPER]}")
            return
        self.goals[aloha.GRIPPER] = number

    def set_mode(self, name: str, mode: str) -> None:
        """Changes the mode, which drops the goal and leaves the motor with torque."""
        self.modes[name], self.torque[name], self.goals[name] = mode, True, self.positions[name]

    def reboot(self, name: str, *, enable: bool) -> None:
        """Clears the error, unless it is there to stay, and drops the goal."""
        self.errors[name] = self.errors[name] if self.stuck else 0
        for register, value in MEMORY.items():
            self.registers[register][name] = value
        self.torque[name], self.goals[name] = enable, self.positions[name]

    def register(self, register: str, name: str) -> int | None:
        """Returns the value of a motor's register, or None where it has no register of this name."""
        if register == "Hardware_Error_Status":
            return self.errors[name]
        if register == "Torque_Enable":
            return int(self.torque[name])
        if register in ("Goal_Position", "Present_Position"):
            angles = self.goals if register == "Goal_Position" else self.positions
            return 2048 + round(angles[name] * COUNTS)
        return self.registers[register][name] if register in self.registers else None

    def write_register(self, register: str, name: str, value: int) -> None:
        """Writes a register. As in the motors, an unknown one changes nothing, and some are locked under torque."""
        locked = register == "Current_Limit" and self.torque[name]
        if register in self.registers and register not in self.stubborn and not locked:
            self.registers[register][name] = value

    def move(self, seconds: float) -> None:
        """Turns the motors that have torque towards their goals."""
        reach = self.speed * seconds
        for name in self.names:
            if self.torque[name] and not self.errors[name]:
                step = self.goals[name] - self.positions[name]
                self.positions[name] += min(max(step, -reach), reach)

    def reading(self) -> tuple[list[str], list[float], list[float]]:
        """Returns names, positions and efforts as the driver publishes them. The efforts are currents in mA."""
        angles = [self.positions[name] if self.reads else READ_FAILURE for name in self.names]
        finger = finger_of(angles[-1])
        names = [*self.names, aloha.LEFT_FINGER, aloha.RIGHT_FINGER]
        currents = [self.current(name) if self.reads else 0.0 for name in self.names]
        return names, [*angles, finger, -finger], [*currents, FINGER_EFFORT, FINGER_EFFORT]

    def current(self, name: str) -> float:
        """Returns the current of a motor, mA. One without torque has none."""
        return self.currents.get(name, CURRENT) if self.torque[name] and not self.errors[name] else 0.0
