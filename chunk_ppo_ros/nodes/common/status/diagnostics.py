"""Publishes the statuses of a node on `/diagnostics`, and finds the statuses of one graph among those of others.

`/diagnostics` is one topic for all namespaces. The name of a status therefore begins with the namespace of its node,
and its hardware id says which robot it belongs to. Tools such as PlotJuggler plot the values that are plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from chunk_ppo_ros.nodes.common.conditions import DIAGNOSTICS_PERIOD
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of

HARDWARE = "aloha"
"""The hardware id of all statuses, which the namespace follows."""

Value = str | float | bool
"""The value of a key. A text is for people, and a number is written so that tools can plot it."""


def hardware_id(namespace: str) -> str:
    """Returns the hardware id of the statuses of a namespace, such as "aloha/cell_1", or "aloha" without one."""
    return f"{HARDWARE}{namespace.rstrip('/')}"


def key_values(values: Mapping[str, Value]) -> list[KeyValue]:
    """Returns keys and values as a status holds them. True is 1, false is 0, and what is not known is nan."""
    return [KeyValue(key=key, value=_text(value)) for key, value in values.items()]


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, (bool, int)) else f"{value:.6g}"


def own_name(status: DiagnosticStatus, namespace: str) -> str | None:
    """Returns the name of a status without the namespace, or None for a status of the graph of another namespace.

    Args:
        status: a status, also of a program that is not of this package.
        namespace: the namespace of the graph that is looked at; empty or "/" without one.
    """
    if status.hardware_id == hardware_id(namespace):
        return status.name.removeprefix(f"{namespace.strip('/')}/")
    is_of_others = status.hardware_id == HARDWARE or status.hardware_id.startswith(f"{HARDWARE}/")
    return None if is_of_others else status.name


class Diagnostics:
    """Publishes statuses of a node.

    Args:
        node: the node.
        now: returns the ROS time, ns. None takes the clock of the node.
    """

    def __init__(self, node: Node, *, now: Callable[[], int] | None = None) -> None:
        self._node = node
        self._now = now or (lambda: int(node.get_clock().now().nanoseconds))
        namespace = node.get_namespace()
        self._prefix = f"{namespace.strip('/')}/" if namespace.strip("/") else ""
        self._hardware_id = hardware_id(namespace)
        self._publisher = topics.DIAGNOSTICS.create_publisher(node)

    def status(self, level: bytes, message: str, values: Mapping[str, Value]) -> DiagnosticStatus:
        """Returns a status that has the name of the node."""
        return DiagnosticStatus(level=level, name=self._node.get_name(), message=message, values=key_values(values))

    def publish(self, *statuses: DiagnosticStatus) -> None:
        """Publishes statuses, whose names get the namespace of the node and which get the hardware id."""
        for status in statuses:
            status.name = f"{self._prefix}{status.name}"
            status.hardware_id = self._hardware_id
        self._publisher.publish(DiagnosticArray(header=header_of(self._now()), status=statuses))


class PeriodicDiagnostics:
    """Publishes one status of a node once a second of steady time.

    Args:
        node: the node.
        level: returns the level of its conditions.
        tell: returns the text and the values.
        now: returns the ROS time, ns. None takes the clock of the node.
    """

    def __init__(
        self,
        node: Node,
        *,
        level: Callable[[], bytes],
        tell: Callable[[], tuple[str, Mapping[str, Value]]],
        now: Callable[[], int] | None = None,
    ) -> None:
        self._diagnostics = Diagnostics(node, now=now)
        self._level = level
        self._tell = tell
        node.create_timer(DIAGNOSTICS_PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        message, values = self._tell()
        self._diagnostics.publish(self._diagnostics.status(self._level(), message, values))
