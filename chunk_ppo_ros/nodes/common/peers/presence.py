"""Watches which nodes are in the graph by looking at the publishers of their topics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from rclpy.node import Node

PLACEHOLDERS = frozenset({"_NODE_NAME_UNKNOWN_", "_CREATED_BY_BARE_DDS_APP_"})
"""The names that the ROS middleware gives to a publisher's node before discovery knows the node. A publisher of a
program without ROS keeps such a name. They name no node."""


@dataclasses.dataclass(frozen=True)
class PresenceChange:
    """Says that a node has left (`present` is false), or is back.

    `is_anew` says that it is another process than before. Otherwise the connection to it was broken. `is_first` says
    that this watch has not seen the node before, and knows from an earlier process which one was there.
    """

    name: str
    present: bool
    is_anew: bool = False
    is_first: bool = False


class PresenceWatch:
    """Reports once when a node has left the graph, and once when it was started anew.

    The graph shows a killed process until its lease is over, which takes 20 s in Fast DDS. A process that was started
    anew is seen at once, because its new publisher has another identity.

    Args:
        node: the node whose view of the graph is read.
        topics: the topics whose publishers are watched.
        patience: the absence in seconds after which a node counts as gone. It is so long that nodes that all end
            together do not report each other.
    """

    def __init__(self, node: Node, topics: Iterable[str], *, patience: float = 1.5) -> None:
        self._node = node
        self._topics = tuple(topics)
        self._patience = patience
        self._identities: dict[tuple[str, str], set[bytes]] = {}
        self._last_seen: dict[tuple[str, str], float] = {}
        self._gone: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str]] = set()
        self._newest: dict[tuple[str, str], bytes] = {}

    @property
    def identities(self) -> dict[tuple[str, str], bytes]:
        """The identity of the newest publisher of each topic and node."""
        return dict(self._newest)

    @property
    def unseen(self) -> set[tuple[str, str]]:
        """The topics and nodes that an earlier process has known, and that this watch has not seen yet."""
        return set(self._newest) - self._seen

    def expect(self, topic: str, name: str, identity: bytes, *, now: float) -> None:
        """Takes the publisher that an earlier process has known, so that another one counts as started anew.

        Args:
            topic: the topic.
            name: the node.
            identity: the identity of its publisher.
            now: the time in seconds of a steady clock.
        """
        key = (topic, name)
        self._seen.discard(key)  # It may have been seen before this was known.
        self._identities[key], self._newest[key], self._last_seen[key] = {identity}, identity, now

    def update(self, now: float) -> list[PresenceChange]:
        """Returns what has changed since the last call. The first appearance of a node is not a change.

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
            self._newest.setdefault(key, identity)
            self._last_seen[key] = now
            is_anew, is_first = identity not in known, key not in self._seen
            self._seen.add(key)
            if is_anew:
                self._newest[key] = identity
            if is_anew or key in self._gone:
                known.add(identity)
                self._gone.discard(key)
                changes.append(PresenceChange(info.node_name, present=True, is_anew=is_anew, is_first=is_first))
        for key, last_seen in self._last_seen.items():
            if key[0] == topic and now - last_seen > self._patience and key not in self._gone:
                self._gone.add(key)
                changes.append(PresenceChange(key[1], present=False))
        return changes
