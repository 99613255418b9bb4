"""Shadow mode: the policy acts, its commands are published for people and recordings, and nothing moves the robot."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.sensors.joints import CHUNK_JOINTS, StepMessage
from chunk_ppo_ros.robot import aloha

NOTICE = (
    "shadow mode (robot.shadow): nothing moves the robot, and nothing is trained on; what would be commanded is on "
    "robot/left/shadow_command and robot/right/shadow_command"
)


class ShadowBackend:
    """Publishes each target where no driver listens. It knows no driver, and calls none of their services.

    Args:
        node: the node that owns the publishers.
        period: the control period, s.
    """

    def __init__(self, node: Node, *, period: float) -> None:
        self._message = StepMessage(CHUNK_JOINTS, period=period)
        self._publishers = {side: topic.create_publisher(node) for side, topic in topics.SHADOW_COMMANDS.items()}
        node.get_logger().warning(NOTICE)

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Publishes a trajectory of one point for each arm: rad, and the normalized opening of the gripper."""
        for side, publisher in self._publishers.items():
            publisher.publish(self._message.fill(target[aloha.side_slice(side)].tolist(), stamp=stamp))


def make_shadow(node: Node, config: RobotConfig) -> ShadowBackend:
    """Makes the back end that takes the place of `robot.backend` in shadow mode."""
    return ShadowBackend(node, period=1.0 / config.control_rate)


def shadow_status() -> DiagnosticStatus:
    """Returns the status that says on /diagnostics, as long as the node runs, that nothing moves."""
    return DiagnosticStatus(level=DiagnosticStatus.WARN, name="robot_node: shadow mode", message=NOTICE)
