"""Does what an operator can do to robot_node while it runs: an emergency stop, and another largest speed."""

from __future__ import annotations

from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future
from std_srvs.srv import SetBool


class GraphOperator:
    """Calls the services of robot_node.

    Args:
        node: the node that owns the clients.
    """

    def __init__(self, node: Node) -> None:
        self._stop: Client = node.create_client(SetBool, "robot_node/emergency_stop")
        self._parameters = AsyncParameterClient(node, "robot_node")

    def stop(self, stopped: bool) -> Future[Any]:
        """Begins an emergency stop, or clears it. The answer is in the future."""
        return self._stop.call_async(SetBool.Request(data=stopped))

    def set_max_velocity(self, max_velocity: float) -> Future[Any]:
        """Sets the largest speed of the arm joints, rad/s. The answer is in the future."""
        return self._parameters.set_parameters([Parameter("robot.max_velocity", value=max_velocity)])
