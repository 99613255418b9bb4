"""Finds nodes that publish on a topic beside the one that does it in this graph.

This is identity, not authentication: a program that takes the name of a node is not found. SROS2 can keep it out.
"""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.subscriptions import ConditionReporter
from chunk_ppo_ros.nodes.wire import topics

UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""The name that the ROS middleware gives to a publisher's node before discovery knows the node."""


class ForeignPublishers:
    """Knows which node publishes on each topic. The first that is seen does, as long as it is there.

    A node that was killed and started anew has the same name, and is no other node.

    Args:
        node: the node whose view of the graph is read.
        names: the names of the topics, each of which one node may publish.
    """

    def __init__(self, node: Node, names: Iterable[str]) -> None:
        self._node = node
        self._owners: dict[str, str] = dict.fromkeys(names, "")
        self._found: dict[str, str] = {}

    @property
    def found(self) -> str:
        """The nodes that published beside another at the last look, and what to do; empty where none did."""
        return "; ".join(self._found.values())

    def look(self, *names: str) -> str:
        """Looks at the publishers of some topics, by default of all, and returns `found`."""
        for topic in names or self._owners:
            nodes = {
                f"{info.node_namespace.rstrip('/')}/{info.node_name}"
                for info in self._node.get_publishers_info_by_topic(topic)
                if info.node_name != UNKNOWN
            }
            if self._owners[topic] not in nodes:
                self._owners[topic] = min(nodes, default="")
            foreign = sorted(nodes - {self._owners[topic]})
            self._found.pop(topic, None)
            if foreign:
                self._found[topic] = (
                    f"{', '.join(foreign)} publishes on {topic} beside {self._owners[topic]}; stop one of them"
                )
        return self.found

    def report(self, conditions: ConditionReporter) -> None:
        """Looks at all topics, and raises or clears the condition about what it finds."""
        if self.look():
            conditions.raise_condition(condition_table.FOREIGN_PUBLISHER, publishers=self.found)
        else:
            conditions.clear_condition(condition_table.FOREIGN_PUBLISHER)


class RunGuard:
    """Keeps the announcements of a foreign trainer away from a node that follows a run.

    A trainer of another run may take over when the first one is gone.

    Args:
        node: the node that follows the run.
        conditions: reports the condition of the node.
    """

    def __init__(self, node: Node, conditions: ConditionReporter) -> None:
        self._conditions = conditions
        self._publishers = ForeignPublishers(node, [topics.POLICY_VERSION.name])

    def admits(self, announced: msg.PolicyVersion, run_id: str) -> bool:
        """Returns whether an announcement may be followed.

        Args:
            announced: the announcement.
            run_id: the run that the node follows, or an empty string before the first.
        """
        foreign = self._publishers.look()
        if foreign and run_id and announced.run_id != run_id:
            self._conditions.raise_condition(condition_table.FOREIGN_RUN, run_id=announced.run_id, publishers=foreign)
            return False
        self._conditions.clear_condition(condition_table.FOREIGN_RUN)
        return True
