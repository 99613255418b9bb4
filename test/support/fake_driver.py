"""Stands in for Interbotix's driver of one follower: its topics, its services and their quirks.

As the real one it does one thing at a time: while it writes a register or reboots a motor, no joint states come.
It runs in a thread of its own, because it sleeps. The interface package must be on sys.path before it is made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand
from interbotix_xs_msgs.srv import OperatingModes, Reboot, RegisterValues, RobotInfo, TorqueEnable
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from chunk_ppo_ros.robot import aloha
from support.fake_motors import FINGER_VELOCITY, FakeMotors

MOTOR_IDS = {
    "waist": 1,
    "shoulder": 2,
    "elbow": 4,
    "forearm_roll": 6,
    "wrist_angle": 7,
    "wrist_rotate": 8,
    "gripper": 9,
}
SLEEP_POSITIONS = (0.0, -2.05, 1.7, 0.0, -2.0, 0.0)  # rad, outside of the limits
FINGER_RANGE = (0.021, 0.057)  # m


class FakeDriver(Node):
    """The driver of one arm.

    Args:
        side: "left" or "right".
        rate: the rate of the joint states, Hz: 100 of the real driver, 30 of its simulation.
        register_time: the seconds that it takes to write a register; 0.01 in the real driver.
        read_time: the seconds that it takes to read one; some 2 ms where the USB adapter is fast, 17 where it is slow.
        reboot_time: the seconds that a reboot takes; 1 in the real driver.
        is_simulation: whether the quirks are those of Interbotix's simulation: no velocities and efforts, motors that
            are at their goals at once, and no registers.
        has_services: whether the services are there from the start. `offer_services` adds them.
    """

    def __init__(
        self,
        side: str,
        *,
        rate: float = 100.0,
        register_time: float = 0.001,
        read_time: float = 0.001,
        reboot_time: float = 0.05,
        is_simulation: bool = False,
        has_services: bool = True,
    ) -> None:
        super().__init__("xs_sdk", namespace=f"follower_{side}", use_global_arguments=False)
        self.motors = FakeMotors()
        self.joints = list(aloha.ARM_JOINTS)
        self.limits = {"lower": aloha.LOWER_LIMITS[:6].tolist(), "upper": aloha.UPPER_LIMITS[:6].tolist()}
        self.calls: list[str] = []  # the services that were called, with what they were called for
        self.answer_time = 0.0  # seconds, beside those of registers and reboots
        self.is_silent = False  # whether no joint states come
        self.profile_type = "velocity"
        self.keeps_modes = False  # whether the driver ignores what its modes are set to
        self.keeps_torque = False  # whether the driver ignores the service torque_enable
        self.tells_errors = False  # whether registers are read although their motor has an error
        self._register_time, self._read_time, self._reboot_time = register_time, read_time, reboot_time
        self._is_simulation = is_simulation
        self._states = self.create_publisher(JointState, "joint_states", 10)
        self.create_subscription(JointGroupCommand, "commands/joint_group", self._on_group, 10)
        self.create_subscription(JointSingleCommand, "commands/joint_single", self._on_single, 10)
        self.create_timer(1.0 / rate, self._publish)
        self._moved_at = time.monotonic()
        if has_services:
            self.offer_services()

    def offer_services(self) -> None:
        """Makes the services, which the real driver does after it has found its motors."""
        self._offer(RobotInfo, "get_robot_info", self._on_info)
        self._offer(OperatingModes, "set_operating_modes", self._on_modes)
        self._offer(Reboot, "reboot_motors", self._on_reboot)
        self._offer(RegisterValues, "get_motor_registers", self._on_registers)
        self._offer(RegisterValues, "set_motor_registers", self._on_set_registers)
        self._offer(TorqueEnable, "torque_enable", self._on_torque)

    def _offer(self, kind: Any, name: str, answer: Callable[[Any, Any], None]) -> None:
        def on_call(request: Any, response: Any) -> Any:
            subject = getattr(request, "mode", "") or getattr(request, "reg", "")
            self.calls.append(" ".join(filter(None, [name, request.name, subject])))
            time.sleep(self.answer_time)
            answer(request, response)
            return response

        self.create_service(kind, name, on_call)

    def _on_group(self, message: JointGroupCommand) -> None:
        self.motors.command_arm(list(message.cmd))

    def _on_single(self, message: JointSingleCommand) -> None:
        time.sleep(self._register_time)
        self.motors.command_gripper(message.cmd)

    def _names(self, request: Any) -> list[str]:
        if request.cmd_type != "group":
            return [request.name]
        return list(self.joints) if request.name == "arm" else [*self.joints, aloha.GRIPPER]

    def _on_info(self, request: Any, response: Any) -> None:
        is_arm = request.cmd_type == "group"
        names = self._names(request)
        response.mode = self.motors.modes[aloha.ARM_JOINTS[0] if is_arm else request.name]
        response.joint_names = names if is_arm else [aloha.LEFT_FINGER]
        response.joint_ids = [MOTOR_IDS.get(name, 0) for name in names]
        response.joint_lower_limits = self.limits["lower"] if is_arm else [FINGER_RANGE[0]]
        response.joint_upper_limits = self.limits["upper"] if is_arm else [FINGER_RANGE[1]]
        response.joint_sleep_positions = list(SLEEP_POSITIONS) if is_arm else [0.0]
        response.num_joints, response.profile_type = len(names), self.profile_type

    def _on_modes(self, request: Any, response: Any) -> None:
        for name in self._names(request):
            time.sleep(3 * self._register_time)
            if not self.keeps_modes:
                self.motors.set_mode(name, request.mode)

    def _on_reboot(self, request: Any, response: Any) -> None:
        for name in self._names(request):
            time.sleep(self._reboot_time)
            self.motors.reboot(name, enable=request.enable)

    def _on_registers(self, request: Any, response: Any) -> None:
        """Reads motor by motor, and ends the list before one that cannot be read, as one with an error."""
        if self._is_simulation:
            return
        for name in self._names(request):
            time.sleep(self._read_time)
            value = self.motors.register(request.reg, name)
            if value is None or (self.motors.errors[name] and not self.tells_errors):
                return
            response.values.append(value)

    def _on_set_registers(self, request: Any, response: Any) -> None:
        for name in self._names(request):
            time.sleep(self._register_time)
            self.motors.write_register(request.reg, name, request.value)

    def _on_torque(self, request: Any, response: Any) -> None:
        for name in [] if self.keeps_torque else self._names(request):
            self.motors.torque[name] = request.enable

    def _publish(self) -> None:
        if self.is_silent:
            return
        now = time.monotonic()
        self.motors.move(float("inf") if self._is_simulation else now - self._moved_at)
        self._moved_at = now
        names, positions, efforts = self.motors.reading()
        message = JointState(name=names, position=positions)
        message.header.stamp = self.get_clock().now().to_msg()
        if not self._is_simulation:
            message.velocity, message.effort = [FINGER_VELOCITY] * len(names), efforts
        self._states.publish(message)


@contextmanager
def running_driver(side: str, **options: Any) -> Iterator[FakeDriver]:
    """Runs a driver in a thread of its own until the block ends."""
    driver = FakeDriver(side, **options)
    with spinning(driver):
        yield driver


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Spins a node in a thread of its own until the block ends, and destroys it."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name=node.get_fully_qualified_name())
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
