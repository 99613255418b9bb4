"""Says which topics no program listens to that acts on their messages. Recorders and tools listen, but do not act."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.publisher import Publisher

ONLY_WATCH = (
    *("recorder_node", "view_node", "chunk_ppo_command_"),
    *("rosbag2_", "_ros2cli_", "rqt", "rviz", "plotjuggler", "foxglove"),
)
"""The beginnings of the names of nodes that record or show messages: ours, ros2 bag, ros2 topic, and what draws."""
LOOK_PERIOD = 1.0
"""The longest time between two looks at the names, s. A look takes 0.2 ms for a topic, too long for each step."""


class Listeners:
    """Knows which topics are listened to. A controller that died is missed although a recorder goes on.

    Args:
        node: the node whose view of the graph is read.
        publishers: the publishers of the topics.
        clock: returns the steady time, s.
    """

    def __init__(
        self, node: Node, publishers: Sequence[Publisher], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._node = node
        self._publishers = tuple(publishers)
        self._clock = clock
        self._counts: list[int] = []  # the number of subscriptions of each topic at the last look
        self._looked_at = 0.0
        self._unheard: tuple[str, ...] = ()

    def unheard(self) -> tuple[str, ...]:
        """Returns the topics that nobody listens to, but recorders and tools."""
        counts = [publisher.get_subscription_count() for publisher in self._publishers]
        now = self._clock()
        if counts != self._counts or now - self._looked_at >= LOOK_PERIOD:
            self._counts, self._looked_at = counts, now
            pairs = zip(self._publishers, counts, strict=True)
            self._unheard = tuple(one.topic_name for one, count in pairs if not (count and self._is_heard(one)))
        return self._unheard

    def _is_heard(self, publisher: Publisher) -> bool:
        found = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        return any(not info.node_name.startswith(ONLY_WATCH) for info in found)
