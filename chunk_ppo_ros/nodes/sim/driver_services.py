"""Serves the services of Interbotix's driver of one follower. They change and tell the settings of its motors.

As in the real driver, an unknown name changes nothing, and most answers are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from chunk_ppo_ros.nodes.common.interbotix_interfaces import ARM_GROUP, DriverInterfaces
from chunk_ppo_ros.nodes.sim.driver_motors import MOTORS, P_GAIN, DriverMotors
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.gate.reading_trust import MOTOR_SPEED

_GROUPS = {ARM_GROUP: aloha.ARM_JOINTS, "all": MOTORS}
_IDS = dict(zip(MOTORS, (1, 2, 4, 6, 7, 8, 9), strict=True))
"""The id of each motor on the bus; Interbotix's motor configuration of aloha_vx300s."""
_SLEEP_POSITIONS = (0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.0)
"""Where each motor is when the arm lies down, rad; the same configuration. It is outside the limits."""
_FINGER_INDEX = 7
"""The index of the left finger in the driver's joint states. The driver tells of the gripper as of this finger."""


class DriverServices:
    """The services of the driver of one follower.

    Args:
        node: the node that serves.
        namespace: the namespace of the driver, relative to that of the node.
        interfaces: the types of the services.
        motors: the motors.
    """

    def __init__(self, node: Node, namespace: str, interfaces: DriverInterfaces, motors: DriverMotors) -> None:
        self._motors = motors
        offers: tuple[tuple[Any, str, Callable[[Any, Any], None]], ...] = (
            (interfaces.robot_info, "get_robot_info", self._tell_info),
            (interfaces.operating_modes, "set_operating_modes", self._set_modes),
            (interfaces.torque_enable, "torque_enable", self._set_torque),
            (interfaces.reboot, "reboot_motors", self._reboot),
            (interfaces.motor_gains, "set_motor_pid_gains", self._set_gains),
            (interfaces.register_values, "get_motor_registers", self._read_registers),
            (interfaces.register_values, "set_motor_registers", self._write_registers),
        )
        for kind, name, answer in offers:
            node.create_service(kind, f"{namespace}/{name}", _answering(answer))

    def _tell_info(self, request: Any, response: Any) -> None:
        names = _motors_of(request)
        if not names:
            return
        fingers = names == (aloha.GRIPPER,)
        indices = [MOTORS.index(name) for name in names]
        response.mode, response.profile_type = self._motors.modes[names[0]], "velocity"
        response.joint_names = [aloha.LEFT_FINGER] if fingers else list(names)
        response.joint_ids = [_IDS[name] for name in names]
        limits = [grippers.FINGER_LIMITS if name == aloha.GRIPPER else _arm_limits(name) for name in names]
        response.joint_lower_limits, response.joint_upper_limits = (list(each) for each in zip(*limits, strict=True))
        response.joint_velocity_limits = [MOTOR_SPEED] * len(names)
        response.joint_sleep_positions = [_SLEEP_POSITIONS[index] for index in indices]
        response.joint_state_indices = [_FINGER_INDEX] if fingers else indices
        response.num_joints, response.name = len(names), [request.name]

    def _set_modes(self, request: Any, response: Any) -> None:
        for name in _motors_of(request):
            self._motors.set_mode(name, request.mode)

    def _set_torque(self, request: Any, response: Any) -> None:
        for name in _motors_of(request):
            self._motors.torque[name] = int(request.enable)

    def _reboot(self, request: Any, response: Any) -> None:
        for name in _motors_of(request):
            if self._motors.errors[name] or not request.smart_reboot:
                self._motors.reboot(name, enable=request.enable)

    def _set_gains(self, request: Any, response: Any) -> None:
        for name in _motors_of(request):
            self._motors.registers[P_GAIN][name] = request.kp_pos

    def _read_registers(self, request: Any, response: Any) -> None:
        values = self._motors.registers.get(request.reg)
        response.values = [] if values is None else [values[name] for name in _motors_of(request)]

    def _write_registers(self, request: Any, response: Any) -> None:
        values = self._motors.registers.get(request.reg)
        if values is not None:
            values.update(dict.fromkeys(_motors_of(request), request.value))


def _answering(answer: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    def on_call(request: Any, response: Any) -> Any:
        answer(request, response)
        return response

    return on_call


def _motors_of(request: Any) -> tuple[str, ...]:
    """Returns the motors that a request names, or nothing for an unknown name."""
    if request.cmd_type == "group":
        return _GROUPS.get(request.name, ())
    return (request.name,) if request.name in MOTORS else ()


def _arm_limits(name: str) -> tuple[float, float]:
    index = aloha.ARM_JOINTS.index(name)
    return float(aloha.LOWER_LIMITS[index]), float(aloha.UPPER_LIMITS[index])
