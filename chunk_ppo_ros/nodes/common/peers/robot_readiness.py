"""Says whether robot_node has told that its commands reach the arms."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from chunk_ppo_ros.nodes.common.status.diagnostics import own_name
from chunk_ppo_ros.nodes.wire import topics

BACK_END_STATUS = "robot_node: back end"
"""The name of the status on /diagnostics in which robot_node says what its back end says of its drivers."""
REACHES_ARMS = "commands reach the arms"
"""The key of that status whose value is 1 where commands move the arms, and 0 where they do not."""


class RobotReadiness:
    """Listens to the status of robot_node's back end.

    Args:
        node: the node that listens.
    """

    def __init__(self, node: Node) -> None:
        self.is_ready = False
        """Whether commands moved the arms when robot_node last told; False before it has told anything."""
        self._namespace = node.get_namespace()
        topics.DIAGNOSTICS.create_subscription(node, self._on_diagnostics)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if own_name(status, self._namespace) == BACK_END_STATUS:
                self.is_ready = any(each.key == REACHES_ARMS and each.value == "1" for each in status.values)
