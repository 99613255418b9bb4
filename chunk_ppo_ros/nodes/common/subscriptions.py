"""Subscribes to the messages of this package, and refuses those of another format.

The sender of a malformed chunk, result, reward or transition gets an answer. Where a node gives such an answer, it does
not subscribe here. The function that converts the message then checks the format.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import QoSProfile

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Condition
from chunk_ppo_ros.nodes.wire.format_check import check_format


class ConditionReporter(Protocol):
    """Something that reports conditions, such as `Conditions` or a `WorkerNode`."""

    def raise_condition(self, condition: Condition, **values: Hashable) -> None:
        """Raises a condition."""

    def clear_condition(self, condition: Condition, **values: Hashable) -> None:
        """Clears a condition."""


def subscribe(
    node: Node,
    conditions: ConditionReporter,
    message_type: type,
    topic: str,
    on_message: Callable[[Any], None],
    profile: QoSProfile,
) -> None:
    """Subscribes to a topic. A message of another format is reported as a condition, and is not handed on.

    Args:
        node: the node that subscribes.
        conditions: reports the condition of the node.
        message_type: the type of the messages, which have a field `format`.
        topic: the name of the topic.
        on_message: is called with each message of the present format.
        profile: the QoS profile of the subscription.
    """

    def check(message: Any) -> None:
        try:
            check_format(message)
        except ValueError as error:
            conditions.raise_condition(condition_table.FORMAT_REFUSED, topic=topic, reason=str(error))
            return
        conditions.clear_condition(condition_table.FORMAT_REFUSED, topic=topic)
        on_message(message)

    node.create_subscription(message_type, topic, check, profile)
