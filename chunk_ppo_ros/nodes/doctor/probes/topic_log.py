"""Keeps when the messages of a topic arrived, and the newest of them, without reading all of their content."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import UNKNOWN, full_name
from chunk_ppo_ros.nodes.doctor.graph_facts import TopicFacts
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.topics import Topic

UNNAMED = "a node that is not known by name yet"
"""What stands for the name of a node that discovery has not found yet, although it has found a publisher of it."""


class TopicLog:
    """Subscribes to a topic whose messages begin with a header.

    Args:
        node: the node that subscribes.
        topic: the topic.
    """

    def __init__(self, node: Node, topic: Topic) -> None:
        self.topic = topic
        self._node = node
        self._arrivals: list[float] = []
        self._ages: list[float] = []
        self._newest = b""
        topic_in_depth = dataclasses.replace(topic, read=qos.JOINT_STATES)  # None of a few that come at once is lost.
        topic_in_depth.create_raw_subscription(node, self._on_bytes)

    def facts(self) -> TopicFacts:
        """Returns what has come so far."""
        return TopicFacts(
            self.topic.name, publishers_of(self._node, self.topic.name), tuple(self._arrivals), tuple(self._ages)
        )

    def newest(self) -> Any:
        """Returns the newest message, or None where none came."""
        return deserialize_message(self._newest, self.topic.message_type) if self._newest else None

    def _on_bytes(self, data: bytes) -> None:
        arrival = time.time_ns()
        self._arrivals.append(arrival / NANOSECONDS)
        self._ages.append((arrival - stamp_of(data)) / NANOSECONDS)
        self._newest = data


def publishers_of(node: Node, topic: str) -> tuple[str, ...]:
    """Returns the full names of the nodes that publish on a topic, and `UNNAMED` for one that DDS does not name yet."""
    found = node.get_publishers_info_by_topic(topic)
    return tuple(sorted({UNNAMED if info.node_name == UNKNOWN else full_name(info) for info in found}))
