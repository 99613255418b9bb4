"""Serves the services of Interbotix's driver of one follower. They change and tell the settings of its motors.

As in the real driver, an unknown name changes nothing, and most answers are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from chunk_ppo_ros.nodes.common.interbotix_interfaces import ARM_GROUP, DriverInterfaces
from chunk_ppo_ros.nodes.sim.driver_motors import MOTORS, DriverMotors
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.gate.trust_rule import MOTOR_SPEED

_IDS = dict(zip(MOTORS, (1, 2, 4, 6, 7, 8, 9), strict=True))
"""The id of each motor on the bus; Interbotix's motor configuration of aloha_vx300s."""
_SLEEP_POSITIONS = dict(zip(MOTORS, (0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.0), strict=True))
"""Where each motor is when the arm lies down, rad; the same configuration. It is outside the limits."""
_STATE_INDICES = dict(zip(MOTORS, (0, 1, 2, 3, 4, 5, 7), strict=True))
"""Where the driver's joint states have what it tells of a motor. Of the gripper it tells the left finger."""

BeforeAnswer = Callable[[str, Any, tuple[str, ...]], None]
"""Is called with a service, its request and the motors that the request names, before the service does anything."""


class DriverServices:
    """The services of the driver of one follower.

    Args:
        node: the node that serves.
        interfaces: the types of the services.
        motors: the motors.
        namespace: the namespace of the driver, relative to that of the node.
        before: is called before each answer, for example to take the time that the motors take.

    Attributes:
        joints: the joints of the group "arm", in the order of its commands.
        limits: the lower and the upper limit of each joint in rad, and of the left finger in m.
    """

    def __init__(
        self,
        node: Node,
        interfaces: DriverInterfaces,
        motors: DriverMotors,
        *,
        namespace: str = "",
        before: BeforeAnswer = lambda service, request, motors: None,
    ) -> None:
        self._motors = motors
        self._before = before
        self.joints = list(aloha.ARM_JOINTS)
        ranges = zip(aloha.LOWER_LIMITS.tolist(), aloha.UPPER_LIMITS.tolist(), strict=True)
        self.limits = dict(zip(aloha.ARM_JOINTS, ranges, strict=False)) | {aloha.GRIPPER: grippers.FINGER_LIMITS}
        self._offers = (
            (interfaces.robot_info, "get_robot_info", self._tell_info),
            (interfaces.operating_modes, "set_operating_modes", self._set_modes),
            (interfaces.torque_enable, "torque_enable", self._set_torque),
            (interfaces.reboot, "reboot_motors", self._reboot),
            (interfaces.motor_gains, "set_motor_pid_gains", self._set_gains),
            (interfaces.register_values, "get_motor_registers", self._read_registers),
            (interfaces.register_values, "set_motor_registers", self._write_registers),
        )
        self._node = node
        self._prefix = f"{namespace}/" if namespace else ""

    def offer(self) -> None:
        """Makes the services."""
        for kind, name, answer in self._offers:
            self._node.create_service(kind, self._prefix + name, self._answering(name, answer))

    def _answering(self, service: str, answer: Callable[[Any, Any, tuple[str, ...]], None]) -> Callable[..., Any]:
        def on_call(request: Any, response: Any) -> Any:
            motors = self._motors_of(request)
            self._before(service, request, motors)
            answer(request, response, motors)
            return response

        return on_call

    def _motors_of(self, request: Any) -> tuple[str, ...]:
        """Returns the motors that a request names, or nothing for an unknown name."""
        if request.cmd_type != "group":
            return (request.name,) if request.name in MOTORS else ()
        groups = {ARM_GROUP: tuple(self.joints), "all": (*self.joints, aloha.GRIPPER)}
        return groups.get(request.name, ())

    def _tell_info(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        if not motors:
            return
        response.mode, response.profile_type = self._motors.modes[motors[0]], self._motors.profile_type
        response.joint_names = [aloha.LEFT_FINGER if name == aloha.GRIPPER else name for name in motors]
        response.joint_ids = [_IDS[name] for name in motors]
        response.joint_lower_limits = [self.limits[name][0] for name in motors]
        response.joint_upper_limits = [self.limits[name][1] for name in motors]
        response.joint_velocity_limits = [MOTOR_SPEED] * len(motors)
        response.joint_sleep_positions = [_SLEEP_POSITIONS[name] for name in motors]
        response.joint_state_indices = [_STATE_INDICES[name] for name in motors]
        response.num_joints, response.name = len(motors), [request.name]

    def _set_modes(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        for name in motors:
            self._motors.set_mode(name, request.mode)

    def _set_torque(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        for name in motors:
            self._motors.set_torque(name, enable=request.enable)

    def _reboot(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        for name in motors:
            if self._motors.errors[name] or not request.smart_reboot:
                self._motors.reboot(name, enable=request.enable)

    def _set_gains(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        for name in motors:
            for letter in "pid":
                gain = getattr(request, f"k{letter}_pos")
                self._motors.write(f"Position_{letter.upper()}_Gain", name, gain)

    def _read_registers(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        """Reads motor by motor, and ends the list before one that cannot be read."""
        for name in motors:
            value = self._motors.read(request.reg, name)
            if value is None:
                return
            response.values.append(value)

    def _write_registers(self, request: Any, response: Any, motors: tuple[str, ...]) -> None:
        for name in motors:
            self._motors.write(request.reg, name, request.value)
