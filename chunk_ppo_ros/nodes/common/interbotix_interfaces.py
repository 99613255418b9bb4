"""Imports Interbotix's interface package, which is installed on the robot's workstation and nowhere else.

robot_node speaks to a driver by it, and sim_node answers as a driver.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from chunk_ppo_ros.core.errors import RegistryError

PACKAGE = "interbotix_xs_msgs"
"""The interface package of Interbotix's driver for X-series motors."""

ARM_GROUP = "arm"
"""The driver's name of the six joints of an arm."""
GRIPPER_MODE = "current_based_position"
"""The operating mode in which commands of the gripper are angles of its motor in rad, and its current is limited."""
SINGLE_COMMANDS = "commands/joint_single"
"""The topic of the commands of one joint, below the namespace of an arm's driver."""


@dataclasses.dataclass(frozen=True)
class DriverInterfaces:
    """The types of the messages and services of an arm's driver.

    Attributes:
        group_command: JointGroupCommand, which commands all joints of a group.
        single_command: JointSingleCommand, which commands one joint.
        operating_modes: OperatingModes, which sets the mode of a joint.
        reboot: Reboot, which reboots a motor.
        register_values: RegisterValues, which reads or writes a register of motors.
        robot_info: RobotInfo, which tells the joints and the mode of a group or a joint.
        torque_enable: TorqueEnable, which switches the torque of motors on or off.
        motor_gains: MotorGains, which sets the gains of motors.
    """

    group_command: Any
    single_command: Any
    operating_modes: Any
    reboot: Any
    register_values: Any
    robot_info: Any
    torque_enable: Any
    motor_gains: Any


def load_interfaces() -> DriverInterfaces:
    """Imports the interface package.

    Raises:
        RegistryError: if it is not installed. The text says what to do.
    """
    try:
        messages, services = (importlib.import_module(f"{PACKAGE}.{kind}") for kind in ("msg", "srv"))
    except ImportError as error:
        raise RegistryError(
            f"robot.backend 'interbotix' needs the ROS package {PACKAGE}, but importing it gave {error!r}; source the "
            "workspace of Interbotix's driver (interbotix_ros_core) before the graph, or build that package there; for "
            "a simulation, CONTRIBUTING.md says how to get a stand-in"
        ) from error
    return DriverInterfaces(
        group_command=messages.JointGroupCommand,
        single_command=messages.JointSingleCommand,
        operating_modes=services.OperatingModes,
        reboot=services.Reboot,
        register_values=services.RegisterValues,
        robot_info=services.RobotInfo,
        torque_enable=services.TorqueEnable,
        motor_gains=services.MotorGains,
    )
