"""Finds nodes that publish on a topic beside the one that does it in this graph.

This is identity, not authentication: a program that takes the name and the ids of a node is not found. SROS2 can keep
it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.common.subscriptions import ConditionReporter
from chunk_ppo_ros.nodes.wire import topics

UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""The name that the ROS middleware gives to a publisher's node before discovery knows the node."""


class ForeignPublishers:
    """Knows which node publishes on each topic. The first that is seen does, as long as it is there.

    A node that was killed and started anew has the same name, and its old publisher stays in the graph for a while, but
    sends nothing any more. Where a publisher sends after a later one of the same name has sent, two nodes have this
    name. A later one is in the graph since a later look, or has sent after a message of the first.

    Args:
        node: the node whose view of the graph is read.
        names: the names of the topics, each of which one node may publish.
        own: the topic of them that the node itself publishes, if any. A second publisher of the node's own name is
            another node that runs, because one that was killed before this one began is not seen.
    """

    def __init__(self, node: Node, names: Iterable[str], *, own: str = "") -> None:
        self._node = node
        self._own = own
        self._owners: dict[str, str] = dict.fromkeys(names, "")
        self._twins: dict[str, set[bytes]] = {}  # the owner's publishers on each topic, where it has several
        self._num_looks = 0
        self._first_seen: dict[bytes, int] = {}  # at which look each of the owner's publishers was first seen
        self._newest: dict[str, bytes] = {}  # who sent the newest message on each topic
        self._followed: dict[str, set[bytes]] = {}  # the publishers after whose message another one sent
        self._turns: dict[str, set[frozenset[bytes]]] = {}  # the pairs of publishers that have sent in turn
        self._found: dict[str, str] = {}

    @property
    def found(self) -> str:
        """The nodes that published beside another at the last look, and what to do; empty where none did."""
        return "; ".join(self._found.values())

    def on_message(self, topic: str, then: Callable[[Any], None]) -> WithOrigin:
        """Returns the callback of a subscription, which notes who sends and calls `then` with each message.

        Args:
            topic: the name of the topic.
            then: is called with each message, and a `WithOrigin` also with who sent it.
        """

        def take(message: Any, origin: MessageOrigin) -> None:
            self._note_sender(topic, origin.publisher)
            if isinstance(then, WithOrigin):
                then.take(message, origin)
            else:
                then(message)

        return WithOrigin(take)

    def look(self, *names: str) -> str:
        """Looks at the publishers of some topics, by default of all, and returns `found`."""
        self._num_looks += 1
        for topic in names or self._owners:
            self._look(topic)
        return self.found

    def _look(self, topic: str) -> None:
        publishers = publishers_of(self._node, topic)
        nodes = {name for name, _ in publishers}
        if self._owners[topic] not in nodes:
            self._owners[topic] = min(nodes, default="")
        owner = self._owners[topic]
        self._note_twins(topic, {id for name, id in publishers if name == owner})
        foreign = sorted(nodes - {owner})
        self._found.pop(topic, None)
        if foreign:
            self._found[topic] = f"{', '.join(foreign)} publishes on {topic} beside {owner}; stop one of them"
        elif self._sent_in_turn(topic) or (topic == self._own and topic in self._twins):
            self._found[topic] = f"two nodes are named {owner} and publish on {topic}; stop one of them"

    def _note_sender(self, topic: str, sender: bytes) -> None:
        newest = self._newest.get(topic, sender)
        self._newest[topic] = sender
        if sender == newest:
            return
        followed = self._followed.setdefault(topic, set())
        if sender in followed or self._is_earlier(sender, newest):
            self._turns.setdefault(topic, set()).add(frozenset({sender, newest}))
        followed.add(newest)

    def _is_earlier(self, publisher: bytes, other: bytes) -> bool:
        """Returns whether a publisher was in the graph at a look that did not show the other one yet."""
        never = self._num_looks + 1
        return self._first_seen.get(publisher, never) < self._first_seen.get(other, never)

    def _sent_in_turn(self, topic: str) -> bool:
        """Returns whether two publishers that the owner has now have sent in turn."""
        return any(pair <= self._twins.get(topic, set()) for pair in self._turns.get(topic, ()))

    def _note_twins(self, topic: str, ids: set[bytes]) -> None:
        for id in ids:
            self._first_seen.setdefault(id, self._num_looks)
        if len(ids) > 1:
            self._twins[topic] = ids
        else:
            for kept in (self._twins, self._followed, self._turns):
                kept.pop(topic, None)

    def report(self, conditions: ConditionReporter) -> None:
        """Looks at all topics, and raises or clears the condition about what it finds."""
        if self.look():
            conditions.raise_condition(condition_table.FOREIGN_PUBLISHER, publishers=self.found)
        else:
            conditions.clear_condition(condition_table.FOREIGN_PUBLISHER)


def full_name(info: TopicEndpointInfo) -> str:
    """Returns the namespace and the name of the node of a publisher or a subscription, as in "/lab/policy_node"."""
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def publishers_of(node: Node, topic: str) -> list[tuple[str, bytes]]:
    """Returns the full name of the node and the id of each publisher of a topic whose node is known."""
    return [
        (full_name(info), bytes(info.endpoint_gid))
        for info in node.get_publishers_info_by_topic(topic)
        if info.node_name != UNKNOWN
    ]


class RunGuard:
    """Keeps the announcements of a foreign trainer away from a node that follows a run.

    A trainer of another run may take over when the first one is gone, and no other publisher is left in the graph. The
    publisher of a trainer that was killed is left there for some seconds.

    Args:
        node: the node that follows the run.
        conditions: reports the condition of the node.
    """

    def __init__(self, node: Node, conditions: ConditionReporter) -> None:
        self._node = node
        self._conditions = conditions
        self._publishers = ForeignPublishers(node, [topics.POLICY_VERSION.name])
        self._refused: msg.PolicyVersion | None = None

    def admits(self, announced: msg.PolicyVersion, run_id: str) -> bool:
        """Returns whether an announcement may be followed.

        Args:
            announced: the announcement.
            run_id: the run that the node follows, or an empty string before the first.
        """
        foreign = self._publishers.look() or self._others()
        self._refused = None
        if foreign and run_id and announced.run_id != run_id:
            self._refused = announced
            self._conditions.raise_condition(condition_table.FOREIGN_RUN, run_id=announced.run_id, publishers=foreign)
            return False
        self._conditions.clear_condition(condition_table.FOREIGN_RUN)
        return True

    def take_refused(self) -> msg.PolicyVersion | None:
        """Returns the refused announcement where only one publisher is left, which may be followed now, else None."""
        if self._refused is None or self._publishers.look() or self._others():
            return None
        refused, self._refused = self._refused, None
        return refused

    def _others(self) -> str:
        """Returns that a trainer is there beside another of the same name, or an empty string."""
        publishers = publishers_of(self._node, topics.POLICY_VERSION.name)
        if len(publishers) < 2:
            return ""
        return f"{publishers[0][0]} has {len(publishers)} publishers of {topics.POLICY_VERSION.name}; stop one of them"
