"""Uses the messages of a topic only where they come from the node that the topic belongs to.

This is identity, not authentication, as in `foreign_publishers.py`. A message that is not used although its node is the
right one is no loss: whoever sends it repeats it until it is answered. This happens while discovery does not know the
node yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.common.peers.topic_publishers import TopicPublishers
from chunk_ppo_ros.nodes.common.subscriptions import ConditionReporter
from chunk_ppo_ros.nodes.wire import topics

USUAL_NODES = {
    topics.ACTION_CHUNK.name: ("policy_node",),
    topics.BOOTSTRAP.name: ("policy_node",),
    topics.CHUNK_OUTCOME.name: ("reward_node",),
    topics.DISCARDED_EPISODE.name: ("reward_node",),
    topics.EPISODE_EVENT.name: ("reward_node",),
    topics.EXECUTION_RESULT.name: ("robot_node",),
    topics.POLICY_VERSION.name: ("trainer_node", "deployment_node"),
    topics.REPEATED_ACK.name: ("reward_node",),
    topics.TRANSITION.name: ("reward_node",),
    topics.TRANSITION_ACK.name: ("trainer_node", "deployment_node"),
}
"""The names of the nodes that topics belong to. Where none of them publishes, a topic belongs to the node that sent
first, as long as it is there. Where one of them has published, nobody takes its place while it is dead."""
SENT_ONCE = (topics.DISCARDED_EPISODE.name, topics.EPISODE_EVENT.name, topics.EXECUTION_RESULT.name)
"""The names of topics whose messages are not all repeated. They are used where discovery does not know the node yet."""


class PublisherGuard:
    """Hands on the messages of each topic from one node, and reports the others by name.

    Args:
        node: the node that subscribes.
        conditions: reports the condition of the node.
        clock: returns the steady time, s.
    """

    def __init__(
        self, node: Node, conditions: ConditionReporter, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._node = node
        self._conditions = conditions
        self._clock = clock
        self._publishers: dict[str, TopicPublishers] = {}  # by topic
        self._owners: dict[tuple[str, str], str] = {}  # by topic and part
        self._usual: dict[str, str] = {}  # by topic, the usual node that was there last
        self._refused: dict[tuple[str, str], tuple[str, str]] = {}  # by topic and node, the owner and the part

    def only_from_one(
        self,
        topic: str,
        then: Callable[[Any], None],
        otherwise: Callable[[Any, str], None] | None = None,
        *,
        part_of: Callable[[Any], str] = lambda message: "",
    ) -> WithOrigin:
        """Returns the callback of a subscription that calls `then` with the messages of the topic's node alone.

        Args:
            topic: the name of the topic.
            then: is called with each message of the topic's node.
            otherwise: is called with each message of another node, and with the name of that node.
            part_of: returns the part of the topic that a message is of, such as a robot, which has a node of its own.
        """

        def take(message: Any, origin: MessageOrigin) -> None:
            if self.admits(topic, origin, part=part_of(message), unknown=topic in SENT_ONCE):
                then(message)
            elif otherwise is not None and (sender := self._publishers_of(topic).names.get(origin.publisher)):
                otherwise(message, sender)

        return WithOrigin(take)

    def admits(self, topic: str, origin: MessageOrigin, *, part: str = "", unknown: bool = False) -> bool:
        """Returns whether a message comes from the node that its topic belongs to.

        Args:
            topic: the name of the topic.
            origin: who sent the message. Releases of rclpy before Kilted do not tell it; the message is then used.
            part: the part of the topic that belongs to a node of its own, such as a source of rewards.
            unknown: whether a message is used whose node discovery does not know yet, because it is sent only once.
        """
        if not origin.publisher:
            return True
        publishers = self._publishers_of(topic)
        publishers.note_sender(origin.publisher)
        names = publishers.names
        if unknown and origin.publisher not in names:
            return True
        sender, owner = names.get(origin.publisher, ""), self._owner(topic, part, set(names.values()))
        usual = self._usual.get(topic, "")
        if sender and not owner and part and usual and not _is_usual(topic, sender):
            owner = usual  # The node of this part has not sent yet.
        elif sender and not owner:
            owner = self._owners[topic, part] = sender
        if sender and sender != owner:
            self._refused[topic, sender] = (owner, part)
            self._report()
        return sender == owner

    def watch(self) -> None:
        """Clears the condition when the other nodes have left. It must be called about once a second."""
        for topic, sender in list(self._refused):
            if sender not in self._publishers_of(topic).nodes:
                del self._refused[topic, sender]
        self._report()

    def _publishers_of(self, topic: str) -> TopicPublishers:
        if topic not in self._publishers:
            self._publishers[topic] = TopicPublishers(self._node, topic, clock=self._clock)
        return self._publishers[topic]

    def _owner(self, topic: str, part: str, present: set[str]) -> str:
        """Returns the node that a topic belongs to, or an empty string where it belongs to none."""
        usual = sorted(name for name in present if _is_usual(topic, name))
        if usual:
            self._usual[topic] = usual[0]
        owner = self._owners.get((topic, part), "")
        if topic in self._usual and not part:
            return self._usual[topic]
        if topic in self._usual:  # Each part has a usual node of its own, the first that has sent.
            return owner if _is_usual(topic, owner) else ""
        return owner if owner in present else ""

    def _report(self) -> None:
        if not self._refused:
            self._conditions.clear_condition(condition_table.FOREIGN_MESSAGES)
            return
        texts = [
            f"those of {sender} on {topic}{f' as {part}' if part else ''}, which {owner} publishes"
            for (topic, sender), (owner, part) in sorted(self._refused.items())
        ]
        self._conditions.raise_condition(condition_table.FOREIGN_MESSAGES, publishers="; ".join(texts))


def _is_usual(topic: str, name: str) -> bool:
    return name.rpartition("/")[2] in USUAL_NODES.get(topic, ())
