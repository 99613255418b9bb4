"""Subscribes to the messages of this package, and refuses those of another format.

The sender of a malformed chunk, result, reward or transition gets an answer. Where a node gives such an answer, it does
not subscribe here. The function that converts the message then checks the format.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from rclpy.node import Node

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Condition
from chunk_ppo_ros.nodes.wire.format_check import check_format
from chunk_ppo_ros.nodes.wire.topics import Topic


class ConditionReporter(Protocol):
    """Something that reports conditions, such as `Conditions` or a `WorkerNode`."""

    def raise_condition(self, condition: Condition, **values: Hashable) -> None:
        """Raises a condition."""

    def clear_condition(self, condition: Condition, **values: Hashable) -> None:
        """Clears a condition."""


NoteSender = Callable[[str, Callable[[Any], None]], Callable[..., None]]
"""A function of a topic and of what is called with its messages, such as `ForeignPublishers.on_message`."""


def subscribe(
    node: Node,
    conditions: ConditionReporter,
    topic: Topic,
    on_message: Callable[[Any], None],
    *,
    note_sender: NoteSender = lambda topic, callback: callback,
) -> None:
    """Subscribes to a topic. A message of another format is reported as a condition, and is not handed on.

    Args:
        node: the node that subscribes.
        conditions: reports the condition of the node.
        topic: the topic, whose messages have a field `format`.
        on_message: is called with each message of the present format.
        note_sender: returns the callback of the subscription, which also notes who sends.
    """

    def check(message: Any) -> None:
        try:
            check_format(message)
        except ValueError as error:
            conditions.raise_condition(condition_table.FORMAT_REFUSED, topic=topic.name, reason=str(error))
            return
        conditions.clear_condition(condition_table.FORMAT_REFUSED, topic=topic.name)
        on_message(message)

    topic.create_subscription(node, note_sender(topic.name, check))
