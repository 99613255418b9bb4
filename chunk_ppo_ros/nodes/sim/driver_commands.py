"""Plays Interbotix's drivers of both followers: joins their commands into targets of all 14 joints.

A command of these drivers has no stamp, so that commands are joined in the order in which they come.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node

from chunk_ppo_ros.data.topic_names import GROUP_COMMANDS
from chunk_ppo_ros.nodes.common.interbotix_interfaces import (
    ARM_GROUP,
    GRIPPER_MODE,
    SINGLE_COMMANDS,
    load_interfaces,
)
from chunk_ppo_ros.nodes.common.peers.robot_readiness import RobotReadiness
from chunk_ppo_ros.nodes.sim.command_source import OnTarget
from chunk_ppo_ros.nodes.sim.driver_motors import MOTORS, DriverMotors
from chunk_ppo_ros.nodes.sim.driver_services import DriverServices
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.robot import aloha, grippers

NUM_PARTS = 4
"""The number of messages that make one target in lockstep, two for each side."""


class DriverCommands:
    """Plays the drivers of both followers. It is a `CommandSource`.

    In lockstep a target is complete when each arm and each gripper has a new command, whatever their order. The back
    end sends all four in each step there. In real time a gripper is commanded only where its target has changed, and
    each command makes a target with what the other joints were told last.

    A gripper's command is taken for the opening of an action, as the simulators and their script form take it. The
    angles of a command are float32, which is the only difference to a target of ros2_control's controllers.

    Args:
        node: the node that subscribes and serves.
        convention: the motor angles of an open and a closed gripper.
        on_target: is called with each target.
        lockstep: whether a target needs a command of each part.

    Raises:
        RegistryError: if Interbotix's interface package is not installed.
    """

    pose = None

    def __init__(
        self, node: Node, convention: grippers.GripperConvention, on_target: OnTarget, *, lockstep: bool
    ) -> None:
        self._logger = node.get_logger()
        self._convention = convention
        self._robot = RobotReadiness(node)
        self._on_target = on_target
        self._parts_needed = NUM_PARTS if lockstep else 1
        self._motors = {side: DriverMotors() for side in aloha.SIDES}
        self._new_parts: set[tuple[str, str]] = set()
        interfaces = load_interfaces()
        self.reset(aloha.START_POSE)
        for side, motors in self._motors.items():
            namespace = f"follower_{side}"
            DriverServices(node, interfaces, motors, namespace=namespace).offer()
            for kind, topic, on_command in (
                (interfaces.group_command, GROUP_COMMANDS, self._on_group),
                (interfaces.single_command, SINGLE_COMMANDS, self._on_single),
            ):
                callback = functools.partial(on_command, side)
                node.create_subscription(kind, f"{namespace}/{topic}", callback, qos.COMMAND)

    @property
    def is_ready(self) -> bool:
        """Whether robot_node has prepared the drivers. It refuses every chunk before."""
        return self._robot.is_ready

    def reset(self, state: np.ndarray) -> None:
        """Forgets the commands so far. Joints that get none stay at `state`, float64 [14]."""
        for side, motors in self._motors.items():
            *arm, opening = state[aloha.side_slice(side)].tolist()
            motors.go_to(dict(zip(MOTORS, [*arm, self._convention.motor_from_opening(opening)], strict=True)))
        self._new_parts.clear()

    def _on_group(self, side: str, message: Any) -> None:
        if message.name != ARM_GROUP or len(message.cmd) != len(aloha.ARM_JOINTS) or not _are_finite(message.cmd):
            self._refuse(side, f"six finite angles of the group {ARM_GROUP}", f"{message.name} {list(message.cmd)}")
            return
        motors = self._motors[side]
        told = dict(zip(aloha.ARM_JOINTS, message.cmd, strict=True))
        motors.go_to({name: angle for name, angle in told.items() if motors.follows(name)})
        self._note_new(side, ARM_GROUP)

    def _on_single(self, side: str, message: Any) -> None:
        mode = self._motors[side].modes[aloha.GRIPPER]
        if message.name != aloha.GRIPPER or mode != GRIPPER_MODE or not _are_finite([message.cmd]):
            wanted = f"a finite angle of the {aloha.GRIPPER} in the mode {GRIPPER_MODE}"
            self._refuse(side, wanted, f"{message.name} {message.cmd} in the mode {mode}")
            return
        if self._motors[side].follows(aloha.GRIPPER):
            self._motors[side].go_to({aloha.GRIPPER: message.cmd})
        self._note_new(side, aloha.GRIPPER)

    def _note_new(self, side: str, part: str) -> None:
        self._new_parts.add((side, part))
        if len(self._new_parts) >= self._parts_needed:
            self._new_parts.clear()
            self._on_target(np.concatenate([self._pose(motors) for motors in self._motors.values()]))

    def _pose(self, motors: DriverMotors) -> np.ndarray:
        """Returns where the motors of an arm are, float64 [7], rad and the opening of an action."""
        *arm, gripper = motors.positions.values()
        return np.array([*arm, self._convention.opening_from_motor(gripper)])

    def _refuse(self, side: str, wanted: str, got: str) -> None:
        self._logger.error(f"a command of follower_{side} is not used: it must be {wanted}, got {got}")


def _are_finite(numbers: Sequence[float]) -> bool:
    return all(map(math.isfinite, numbers))
