"""Subscribes to what a picture is drawn from only while somebody looks at the picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from chunk_ppo_ros.nodes.wire.topics import Topic


@dataclasses.dataclass(frozen=True)
class Source:
    """A topic that is read while somebody looks.

    Attributes:
        topic: the topic.
        on_message: is called with each message.
        profile: the QoS profile, or None for that of the topic.
    """

    topic: Topic
    on_message: Callable[[Any], None]
    profile: QoSProfile | None = None


class Demand:
    """Subscribes to sources while a publisher has subscribers.

    Args:
        node: the node that subscribes.
        publisher: the publisher of the picture.
        find_sources: returns the sources. It is asked at each look, because a camera may begin later than the look.
    """

    def __init__(self, node: Node, publisher: Publisher, find_sources: Callable[[], Sequence[Source]]) -> None:
        self._node = node
        self._publisher = publisher
        self._find_sources = find_sources
        self._subscriptions: dict[str, Subscription[Any]] = {}  # by topic

    @property
    def is_met(self) -> bool:
        """Whether the sources are read."""
        return bool(self._subscriptions)

    def look(self) -> None:
        """Begins to read where somebody looks, and ends it where nobody does. Call it about twice a second."""
        is_wanted = self._publisher.get_subscription_count() > 0
        sources = {source.topic.name: source for source in self._find_sources()} if is_wanted else {}
        for name in self._subscriptions.keys() - sources.keys():
            self._node.destroy_subscription(self._subscriptions.pop(name))
        for name in sources.keys() - self._subscriptions.keys():
            self._subscriptions[name] = self._subscribe(sources[name])

    def _subscribe(self, source: Source) -> Subscription[Any]:
        topic = source.topic
        return topic.create_subscription(self._node, source.on_message, profile=source.profile)
