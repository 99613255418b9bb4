"""Which parts of the graph are there, by the publishers of their topics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from rclpy.node import Node


@dataclasses.dataclass(frozen=True)
class PresenceChange:
    """A node has left (`present` is false), or one of its name was started anew."""

    name: str
    present: bool


class PresenceWatch:
    """Tells once when a node that was there is gone, and when it was started anew.

    A killed process stays in the graph until its lease is over, 20 s in Fast DDS; that it was started anew is seen
    at once, because its new publisher has another identity.

    Args:
        node: asks the graph.
        topics: topics whose publishers are watched.
        patience: seconds of absence after which a node counts as gone; when all nodes end together, none is missed.
    """

    def __init__(self, node: Node, topics: Iterable[str], *, patience: float = 1.5) -> None:
        self._node = node
        self._topics = tuple(topics)
        self._patience = patience
        self._identities: dict[tuple[str, str], set[bytes]] = {}
        self._last_seen: dict[tuple[str, str], float] = {}
        self._gone: set[tuple[str, str]] = set()

    def update(self, now: float) -> list[PresenceChange]:
        """Looks at the graph at `now`, steady seconds; the first appearance of a node is no change."""
        return [change for topic in self._topics for change in self._look(topic, now)]

    def _look(self, topic: str, now: float) -> list[PresenceChange]:
        changes = []
        for info in self._node.get_publishers_info_by_topic(topic):
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
