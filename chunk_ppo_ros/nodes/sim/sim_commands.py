"""Joins the messages for four controllers, which move arm and gripper of each side, into targets of all 14 joints."""

from __future__ import annotations

import functools

import numpy as np
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.sim.command_source import OnTarget
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot import aloha, grippers

ARM_CONTROLLER = "arm"
"""The name of the controllers that move the joints of an arm."""

GRIPPER_CONTROLLER = "gripper"
"""The name of the controllers that move a gripper."""

NUM_PARTS = 4
"""The number of messages that make one target, two for each side."""

MAX_UNFINISHED = 8
"""The number of targets that may wait for their parts. If there are more, the oldest are dropped."""


class CommandJoin:
    """Collects the parts of targets by stamp."""

    def __init__(self, convention: grippers.GripperConvention) -> None:
        self._convention = convention
        self._parts: dict[int, dict[tuple[str, str], np.ndarray]] = {}

    def add(self, side: str, controller: str, message: JointTrajectory) -> np.ndarray | None:
        """Takes the message for one controller. The last point of the message is the target.

        Args:
            side: the side of the arm, "left" or "right".
            controller: `ARM_CONTROLLER` or `GRIPPER_CONTROLLER`.
            message: the trajectory for this controller.

        Returns:
            float64 [14], rad and normalized grippers, if this message completes the target of its stamp, else None. A
            complete target drops older ones that are not complete.

        Raises:
            ValueError: for a message without points, wrong joints or numbers that are not finite.
        """
        if not message.points:
            raise ValueError("trajectory must have at least one point, got none; to hold, send the present position")
        names = aloha.ARM_JOINTS if controller == ARM_CONTROLLER else (aloha.LEFT_FINGER,)
        positions = aloha.select_joints(message.joint_names, message.points[-1].positions, names)
        stamp = time_to_ns(message.header.stamp)
        parts = self._parts.setdefault(stamp, {})
        if controller == GRIPPER_CONTROLLER:
            positions[0] = self._convention.state_opening_from_driver(positions[0])
        parts[side, controller] = positions
        if len(parts) < NUM_PARTS:
            while len(self._parts) > MAX_UNFINISHED:
                del self._parts[min(self._parts)]
            return None
        self._parts = {other: values for other, values in self._parts.items() if other > stamp}
        controllers = (ARM_CONTROLLER, GRIPPER_CONTROLLER)
        return np.concatenate([parts[side, name] for side in aloha.SIDES for name in controllers])

    def clear(self) -> None:
        """Forgets all targets that are not complete."""
        self._parts.clear()


class ControllerCommands:
    """Plays ros2_control's trajectory controllers of both arms. It is a `CommandSource`.

    Args:
        node: the node that subscribes to the topics of the controllers.
        convention: the finger positions of an open and a closed gripper.
        on_target: is called with each target that is complete.
    """

    is_ready, pose = True, None

    def __init__(self, node: Node, convention: grippers.GripperConvention, on_target: OnTarget) -> None:
        self._logger = node.get_logger()
        self._join = CommandJoin(convention)
        self._on_target = on_target
        for side in aloha.SIDES:
            for controller, topic in (
                (ARM_CONTROLLER, topics.ARM_COMMANDS[side]),
                (GRIPPER_CONTROLLER, topics.GRIPPER_COMMANDS[side]),
            ):
                topic.create_subscription(node, functools.partial(self._on_command, side, controller))

    def reset(self, state: np.ndarray) -> None:
        """Forgets all targets that are not complete. The pose `state` of the arms is not used."""
        self._join.clear()

    def _on_command(self, side: str, controller: str, message: JointTrajectory) -> None:
        try:
            target = self._join.add(side, controller, message)
        except ValueError as error:
            self._logger.error(f"command of the {side} {controller} controller is not used: {error}")
            return
        if target is not None:
            self._on_target(target)
