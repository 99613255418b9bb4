"""Lets an operator lower `robot.max_velocity` while robot_node runs, and raise it again to what it was at the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

NAME = "robot.max_velocity"


class SpeedParameter:
    """Checks and hands on the changes of `robot.max_velocity`.

    Args:
        node: the node, which has declared the parameter.
        largest: the value at the start, which is also the largest, rad/s.
        apply: is called with each new value.
    """

    def __init__(self, node: Node, *, largest: float, apply: Callable[[float], None]) -> None:
        self._node = node
        self._largest = largest
        self._apply = apply
        node.add_on_set_parameters_callback(self._on_parameters)

    def _on_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        wanted = [parameter.value for parameter in parameters if parameter.name == NAME]
        for value in wanted:
            if not 0.0 < value <= self._largest:
                reason = (
                    f"{NAME} must be above 0 and at most {self._largest} rad/s, its value at the start, got {value}; "
                    "start robot_node with a higher one"
                )
                return SetParametersResult(successful=False, reason=reason)
        for value in wanted[-1:]:
            self._apply(value)
            self._node.get_logger().info(f"{NAME} is {value} rad/s from now on")
        return SetParametersResult(successful=True)
