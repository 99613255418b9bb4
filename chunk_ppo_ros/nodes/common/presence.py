"""Which nodes are in the graph, as the publishers of their topics show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from rclpy.node import Node

PLACEHOLDERS = frozenset({"_NODE_NAME_UNKNOWN_", "_CREATED_BY_BARE_DDS_APP_"})
"""Names that the ROS middleware gives to the node of a publisher while discovery does not know it, and for good where
the publisher belongs to a program without ROS. They name no node."""


@dataclasses.dataclass(frozen=True)
class PresenceChange:
    """A node has left (`present` is false), or one of its name was started anew."""

    name: str
    present: bool


class PresenceWatch:
    """Reports once when a node has left the graph, and once when it was started anew.

    The graph shows a killed process until its lease is over, which takes 20 s in Fast DDS. The watch sees at once that
    the process was started anew, because its new publisher has another identity.

    Args:
        node: the node whose view of the graph is read.
        topics: the topics whose publishers are watched.
        patience: the absence in seconds after which a node counts as gone. When all nodes end together, no node lives
            long enough to report another.
    """

    def __init__(self, node: Node, topics: Iterable[str], *, patience: float = 1.5) -> None:
        self._node = node
        self._topics = tuple(topics)
        self._patience = patience
        self._identities: dict[tuple[str, str], set[bytes]] = {}
        self._last_seen: dict[tuple[str, str], float] = {}
        self._gone: set[tuple[str, str]] = set()

    def update(self, now: float) -> list[PresenceChange]:
        """Returns what has changed since the last call; the first appearance of a node is no change.

        Args:
            now: the time in seconds of a steady clock.
        """
        return [change for topic in self._topics for change in self._look(topic, now)]

    def _look(self, topic: str, now: float) -> list[PresenceChange]:
        changes = []
        for info in self._node.get_publishers_info_by_topic(topic):
            if info.node_name in PLACEHOLDERS:
                continue
            key, identity = (topic, info.node_name), bytes(info.endpoint_gid)
            known = self._identities.setdefault(key, {identity})
            self._last_seen[key] = now
            if identity not in known or key in self._gone:
                known.add(identity)
                self._gone.discard(key)
                changes.append(PresenceChange(info.node_name, present=True))
        for key, last_seen in self._last_seen.items():
            if key[0] == topic and now - last_seen > self._patience and key not in self._gone:
                self._gone.add(key)
                changes.append(PresenceChange(key[1], present=False))
        return changes
