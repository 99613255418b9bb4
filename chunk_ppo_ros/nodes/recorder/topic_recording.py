"""Subscribes to one topic so that nothing of it is lost, and says what its publishers offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.wire.topics import Topic

DEPTH = 8192
"""The number of messages that wait for a recorder that has no processor. A simulator in lockstep sends about a thousand
joint states a second."""
LARGE_DEPTH = 256
"""The same number for messages with images."""
_LARGE = frozenset({"ActionChunk", "Bootstrap", "Transition", "Image", "CompressedImage"})
_FOREVER = QosTime(9223372036, 854775807)  # an infinite duration, as rosbag2 writes it

OnMessage = Callable[[str, str, int, bytes], None]
"""Takes the resolved name of a topic, the name of its type, the time of arrival, ns, and the serialized message."""


class TopicRecording:
    """Subscribes to a topic with a deep history, reliably where all of its publishers are reliable.

    Args:
        node: the node that subscribes.
        topic: the topic.
        on_message: is called with each message.
        on_lost: is called with the name of the topic and the number of messages that the middleware has lost so far.
    """

    def __init__(
        self, node: Node, topic: Topic, on_message: OnMessage, on_lost: Callable[[str, int], None] = lambda *_: None
    ) -> None:
        self._node = node
        self._topic = topic
        self._on_message = on_message
        self._on_lost = on_lost
        self._name = node.resolve_topic_name(topic.name)
        self._is_reliable = topic.profile.reliability is ReliabilityPolicy.RELIABLE
        self._is_incompatible = False
        self._subscription = self._subscribe()

    @property
    def name(self) -> str:
        """The resolved name of the topic."""
        return self._name

    def adapt(self) -> None:
        """Subscribes anew without reliability where a publisher offers none. It must be called about once a second."""
        if self._is_incompatible and self._is_reliable:
            self._is_reliable = False
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def offered(self) -> list[Qos]:
        """Returns the different profiles that the publishers offer, or that of the table where none is known.

        What they keep is not told by the middleware; the table of topics says it.
        """
        table = self._topic.profile
        pairs = {(table.reliability, table.durability): None}
        found = [info.qos_profile for info in self._node.get_publishers_info_by_topic(self._name)]
        if found:
            pairs = dict.fromkeys((profile.reliability, profile.durability) for profile in found)
        return [described(table, reliability, durability) for reliability, durability in pairs]

    def _subscribe(self) -> Any:
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=LARGE_DEPTH if self._topic.message_type.__name__ in _LARGE else DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if self._is_reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=self._topic.profile.durability,
        )
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._note_incompatible, message_lost=lambda info: self._note_lost(info.total_count)
        )
        return self._topic.record(self._node, WithOrigin(self._take), profile=profile, events=events)

    def _take(self, data: bytes, origin: MessageOrigin) -> None:
        self._on_message(self._name, self._topic.type_name, origin.received or time.time_ns(), data)

    def _note_incompatible(self, info: object) -> None:
        self._is_incompatible = True

    def _note_lost(self, total: int) -> None:
        self._on_lost(self._name, total)


def described(
    profile: QoSProfile, reliability: ReliabilityPolicy | None = None, durability: DurabilityPolicy | None = None
) -> Qos:
    """Returns a profile of rclpy as rosbags has it, with another reliability and durability where they are given."""
    reliability, durability = reliability or profile.reliability, durability or profile.durability
    return Qos(
        history=QosHistory[profile.history.name],
        depth=profile.depth,
        reliability=QosReliability[reliability.name],
        durability=QosDurability[durability.name],
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
