"""Which parts of the graph are there, by the publishers of their topics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from rclpy.node import Node


@dataclasses.dataclass(frozen=True)
class PresenceChange:
    """A part left, or came back after it had left."""

    name: str
    present: bool


class PresenceWatch:
    """Tells once when a part that was there is gone, and once when it is back.

    Args:
        node: asks the graph.
        topics: a topic for each part that the part alone publishes, by the part's name.
    """

    def __init__(self, node: Node, topics: Mapping[str, str]) -> None:
        self._node = node
        self._topics = dict(topics)
        self._present: dict[str, bool] = {}

    def update(self) -> list[PresenceChange]:
        """Looks at the graph; the first appearance of a part is no change."""
        changes = []
        for name, topic in self._topics.items():
            present = self._node.count_publishers(topic) > 0
            known = self._present.get(name)
            if known is None and not present:
                continue
            self._present[name] = present
            if known is not None and known != present:
                changes.append(PresenceChange(name, present))
        return changes
