"""Is a reward_node to which a replay hands over what the recorded one has handled, and which publishes nothing itself.

No executor spins it: neither its subscriptions nor its timer ever call it. So it handles what it is given, in the order
in which it is given, and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.nodes.replay.handled import Handled, ReplayError
from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.reward.reward_watch import Restart
from chunk_ppo_ros.nodes.wire import topics

_ADVICE = "replay the recording with the version of chunk_ppo_ros that recorded it"


class ReplayedRewardNode(RewardNode):
    """A reward_node whose time and whose knowledge of other processes are those of the recorded run.

    Args:
        context: a context of ROS with the settings of the run, in the domain of the replay.

    Attributes:
        transitions: the transitions that it has sent, by their numbers. Whoever hands them on takes them away.
        ends: the ends of episodes that it has told, by their numbers.
    """

    def __init__(self, context: Context) -> None:
        self.transitions: dict[int, msg.Transition] = {}
        self.ends: dict[int, msg.EpisodeEvent] = {}
        self._recorded: Handled | None = None
        self._sent: set[int] = set()  # the numbers of the transitions; each is sent again until it is answered
        self._held: dict[str, _HeldBack] = {}
        super().__init__(context=context)

    def hand_over(self, recorded: Handled, raw: bytes) -> None:
        """Handles what the recorded node has handled.

        Args:
            recorded: what it was.
            raw: the message or the request as it was serialized; empty where it is neither.

        Raises:
            ReplayError: where this version of the package handles no such thing, or does not look for nodes that were
                started anew where the recorded one has found some.
        """
        known = self.inputs.table.get(recorded.name)
        if known is None:
            raise ReplayError(
                f"{recorded.name} must be an input of reward_node, got one that it does not know; {_ADVICE}"
            )
        self._recorded = recorded
        known.handle(*(() if known.content is None else (deserialize_message(raw, known.content),)))
        if self._recorded.restarts:
            raise ReplayError(
                f"reward_node must look for restarts of nodes when it handles {recorded.name}, but it did not; "
                f"{_ADVICE}"
            )

    def send(self, topic: topics.Topic, message: Any) -> None:
        """Publishes a message that this node wanted to publish."""
        self._held[topic.name].publisher.publish(message)

    def steady_time(self) -> float:
        """Returns the steady time of the recorded node, s."""
        return 0.0 if self._recorded is None else self._recorded.steady_time

    def find_restarts(self) -> list[Restart]:
        """Returns the nodes that the recorded node has found to be started anew."""
        if self._recorded is None:
            return []
        found = [Restart.of(text) for text in self._recorded.restarts]
        self._recorded = dataclasses.replace(self._recorded, restarts=())
        return found

    def create_publisher(  # type: ignore[override]
        self, message_type: Any, topic: str, *given: Any, **named: Any
    ) -> Any:
        """Returns a publisher that publishes nothing, and hands over what it is given to this node."""
        publisher = super().create_publisher(message_type, topic, *given, **named)
        self._held[topic] = _HeldBack(publisher, lambda message: self._note(topic, message))
        return self._held[topic]

    def _note(self, topic: str, message: Any) -> None:
        if topic == topics.TRANSITION.name and message.chunk.sequence_number not in self._sent:
            self._sent.add(message.chunk.sequence_number)
            self.transitions[message.chunk.sequence_number] = message
        elif topic == topics.EPISODE_EVENT.name and message.event == msg.EpisodeEvent.ENDED:
            self.ends[message.episode] = message


class _HeldBack:
    """Stands for a publisher whose messages are not published."""

    def __init__(self, publisher: Publisher, note: Callable[[Any], None]) -> None:
        self.publisher = publisher
        self.publish = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self.publisher, name)
