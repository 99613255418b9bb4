"""The motors of one follower as Interbotix's driver sees them, which turn, fail, and have the gripper's linkage."""

from __future__ import annotations

import math

from chunk_ppo_ros.nodes.sim.driver_motors import MOTORS, DriverMotors
from chunk_ppo_ros.robot import aloha

MOTOR_SPEED = 6.0  # rad/s, as fast as the motors turn without a limit in their profile
HORN_RADIUS, ARM_LENGTH = 0.0275, 0.035  # m, the linkage of aloha_vx300s
FINGER_VELOCITY = FINGER_EFFORT = 0.0  # the driver publishes these constants
CURRENT = 120.0  # mA
READ_FAILURE = -math.pi  # what a failed read is taken for, rad


def finger_of(motor: float) -> float:
    """Returns the finger position in m for an angle of the gripper's motor in rad."""
    return HORN_RADIUS * math.sin(motor) + math.sqrt(ARM_LENGTH**2 - (HORN_RADIUS * math.cos(motor)) ** 2)


class FakeMotors(DriverMotors):
    """Seven motors that turn. Commands that harm a real driver are kept in `mistakes`.

    Attributes:
        stuck: whether errors are still there after a reboot.
        reads: whether the motors answer.
        tells_registers: whether registers can be read, which Interbotix's simulation does not.
        keeps_modes: whether they ignore what their modes are set to.
        keeps_torque: whether they ignore the service that switches their torque.
        stubborn: registers that keep their values whatever is written.
        speed: how fast they turn, rad/s.
        currents: the currents of motors that have another one than `CURRENT`, mA.
        mistakes: what a driver must never be told.
        commands: the commands that arrived, as ("arm", angles) or ("gripper", number).
        leaps: how far each motor that got torque was from its goal then, rad.
        stops: how far motors turn at most, by name, because something is in their way, rad.
    """

    def __init__(self, *, tells_registers: bool = True) -> None:
        super().__init__()
        self.positions[aloha.GRIPPER] = self.goals[aloha.GRIPPER] = 0.0
        self.tells_registers = tells_registers
        self.keeps_modes = self.keeps_torque = False
        self.stubborn: set[str] = set()
        self.speed = MOTOR_SPEED
        self.stuck = False
        self.reads = True
        self.currents: dict[str, float] = {}
        self.mistakes: list[str] = []
        self.commands: list[tuple[str, list[float]]] = []
        self.leaps: list[float] = []
        self.stops: dict[str, float] = {}

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
        """Changes the mode of a motor that does not keep it."""
        if not self.keeps_modes:
            super().set_mode(name, mode)

    def set_torque(self, name: str, *, enable: bool) -> None:
        """Switches the torque of a motor that does not keep it."""
        if enable and not self.torque[name]:
            self.leaps.append(abs(self.goals[name] - self.positions[name]))
        if not self.keeps_torque:
            super().set_torque(name, enable=enable)

    def reboot(self, name: str, *, enable: bool) -> None:
        """Clears the error, unless it is there to stay."""
        error = self.errors[name] if self.stuck else 0
        super().reboot(name, enable=enable)
        self.errors[name] = error

    def read(self, register: str, name: str) -> int | None:
        """Returns a motor's register, or None where it cannot be read."""
        return super().read(register, name) if self.tells_registers else None

    def write(self, register: str, name: str, value: int) -> None:
        """Writes a register that is not stubborn."""
        if register not in self.stubborn:
            super().write(register, name, value)

    def move(self, seconds: float) -> None:
        """Turns the motors that have torque towards their goals."""
        reach = self.speed * seconds
        for name in MOTORS:
            if self.follows(name):
                step = self.goals[name] - self.positions[name]
                moved = self.positions[name] + min(max(step, -reach), reach)
                self.positions[name] = min(moved, self.stops.get(name, math.inf))

    def reading(self) -> tuple[list[str], list[float], list[float]]:
        """Returns names, positions and efforts as the driver publishes them. The efforts are currents in mA."""
        angles = [self.positions[name] if self.reads else READ_FAILURE for name in MOTORS]
        finger = finger_of(angles[-1])
        names = [*MOTORS, aloha.LEFT_FINGER, aloha.RIGHT_FINGER]
        currents = [self.current(name) if self.reads else 0.0 for name in MOTORS]
        return names, [*angles, finger, -finger], [*currents, FINGER_EFFORT, FINGER_EFFORT]

    def current(self, name: str) -> float:
        """Returns the current of a motor, mA. One without torque has none."""
        return self.currents.get(name, CURRENT) if self.follows(name) else 0.0
