"""Makes the command source of the back end that `robot.backend` names."""

from __future__ import annotations

from rclpy.node import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.sim.command_source import CommandSource, OnTarget
from chunk_ppo_ros.nodes.sim.driver_commands import DriverCommands
from chunk_ppo_ros.nodes.sim.mirrored_arms import MirroredArms
from chunk_ppo_ros.nodes.sim.sim_commands import ControllerCommands
from chunk_ppo_ros.robot import grippers

INTERBOTIX = "interbotix"
"""The value of `robot.backend` for which sim_node plays Interbotix's drivers."""


def make_command_source(node: Node, config: TrainConfig, on_target: OnTarget) -> CommandSource:
    """Returns what plays the drivers of the back end, or ros2_control's controllers for a back end of another package.

    Where sim_node is a mirror, other drivers run, and it only reads their joint states.

    Raises:
        RegistryError: if Interbotix's interface package is needed and not installed.
    """
    convention = grippers.convention_of(config.robot)
    if config.env.is_mirrored:
        return MirroredArms(node, config.robot, on_target)
    if config.robot.backend == INTERBOTIX:
        return DriverCommands(node, convention, on_target, lockstep=config.env.is_lockstep)
    return ControllerCommands(node, convention, on_target)
