"""Stands in for Interbotix's driver of one arm: its topics, its services and their quirks.

As the real one it does one thing at a time: while it writes a register or reboots a motor, no joint states come.
It runs in a thread of its own, because it sleeps. The interface package must be on sys.path before it is made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand
from rclpy.node import Node
from sensor_msgs.msg import JointState

from chunk_ppo_ros.nodes.common.interbotix_interfaces import load_interfaces
from chunk_ppo_ros.nodes.sim.driver_services import DriverServices
from support.fake_motors import FINGER_VELOCITY, FakeMotors
from support.spinner import spinning

COMMANDS_KEPT = 1000
"""The commands that wait for this driver at most. The real one keeps 10, but tests judge each that was sent, and this
driver runs in a thread that a busy machine may hold up for long."""


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
        arm: "follower" or "leader".
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
        arm: str = "follower",
    ) -> None:
        super().__init__("xs_sdk", namespace=f"{arm}_{side}", use_global_arguments=False)
        self.motors = FakeMotors(tells_registers=not is_simulation)
        self.answers = DriverServices(self, load_interfaces(), self.motors, before=self._take_time)
        self.calls: list[str] = []  # the services that were called, with what they were called for
        self.answer_time = 0.0  # seconds, beside those of registers and reboots
        self.is_silent = False  # whether no joint states come
        self._register_time, self._read_time, self._reboot_time = register_time, read_time, reboot_time
        self._is_simulation = is_simulation
        self._states = self.create_publisher(JointState, "joint_states", 10)
        self.create_subscription(JointGroupCommand, "commands/joint_group", self.on_group, COMMANDS_KEPT)
        self.create_subscription(JointSingleCommand, "commands/joint_single", self._on_single, COMMANDS_KEPT)
        self.create_timer(1.0 / rate, self._publish)
        self._moved_at = time.monotonic()
        if has_services:
            self.offer_services()

    def offer_services(self) -> None:
        """Makes the services, which the real driver does after it has found its motors."""
        self.answers.offer()

    def _take_time(self, service: str, request: Any, motors: tuple[str, ...]) -> None:
        """Takes the time that the motors need, in which nothing else happens."""
        subject = getattr(request, "mode", "") or getattr(request, "reg", "")
        self.calls.append(" ".join(filter(None, [service, request.name, subject])))
        seconds = {
            "set_operating_modes": 3 * self._register_time,
            "reboot_motors": self._reboot_time,
            "get_motor_registers": self._read_time if self.motors.tells_registers else 0.0,
            "set_motor_registers": self._register_time,
        }
        time.sleep(self.answer_time + seconds.get(service, 0.0) * len(motors))

    def on_group(self, message: JointGroupCommand) -> None:
        """Takes a command of the group arm."""
        self.motors.command_arm(list(message.cmd))

    def _on_single(self, message: JointSingleCommand) -> None:
        time.sleep(self._register_time)
        self.motors.command_gripper(message.cmd)

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
