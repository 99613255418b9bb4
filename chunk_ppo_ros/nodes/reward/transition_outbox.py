"""The sending side of transitions: makes their messages and repeats them until the trainer answers."""

from __future__ import annotations

import dataclasses

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.conversions import ObservationSource
from chunk_ppo_ros.rewards.delivery import Delivery

_SETTLED = (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE, msg.TransitionAck.DISCARDED)


@dataclasses.dataclass
class _Origin:
    """What a transition's message holds beside the transition."""

    stamp: int
    source: ObservationSource
    next_source: ObservationSource | None = None


class TransitionOutbox:
    """Delivers transitions; a transition leaves it only by the trainer's answer or with its discarded episode.

    Args:
        node: publishes on its topic `transition` and listens on `transition_ack`.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._run_id = ""
        self._origins: dict[int, _Origin] = {}
        self._delivery: Delivery[msg.Transition] = Delivery()
        self._publisher = node.create_publisher(msg.Transition, "transition", qos.TRANSITION)
        node.create_subscription(msg.TransitionAck, "transition_ack", self._on_ack, qos.ACKNOWLEDGEMENT)

    @property
    def delivery(self) -> Delivery[msg.Transition]:
        """What was not answered yet."""
        return self._delivery

    def begin_run(self, run_id: str) -> None:
        """Drops everything of another run."""
        if len(self._delivery):
            dropped = f"{len(self._delivery)} transitions of run {self._run_id}"
            self._logger.warning(f"{dropped} are dropped: run {run_id} began")
        self._run_id = run_id
        self._origins.clear()
        self._delivery = Delivery()

    def note_chunk(self, message: msg.ActionChunk) -> None:
        """Keeps stamp and prompt of a chunk for its transition."""
        stamp = conversions.time_to_ns(message.header.stamp)
        origin = _Origin(stamp, conversions.source_from_message(message.observation))
        self._origins.setdefault(message.sequence_number, origin)

    def note_bootstrap(self, message: msg.Bootstrap) -> None:
        """Keeps stamp and prompt of the observation after a segment."""
        origin = self._origins.get(message.sequence_number)
        if origin is not None:
            origin.next_source = conversions.source_from_message(message.observation)

    def forget(self, sequence_number: int) -> None:
        """The chunk makes no transition."""
        self._origins.pop(sequence_number, None)

    def add(self, transition: Transition) -> None:
        """Queues a transition for sending."""
        origin = self._origins.pop(transition.id.sequence_number)
        message = conversions.transition_to_message(
            transition,
            origin.source,
            stamp=origin.stamp,
            next_source=origin.next_source if transition.next_observation is not None else None,
        )
        self._delivery.add(transition.id.sequence_number, message)

    def discard_episode(self, episode: int) -> int:
        """Withdraws the transitions of an episode that were not answered yet; returns how many there were."""
        queued = [message for message in self._delivery.payloads() if message.episode == episode]
        return len(self._delivery.remove([message.sequence_number for message in queued]))

    def send_due(self, now: float) -> None:
        """Publishes what is due at `now`, steady seconds."""
        for message in self._delivery.pop_due(now):
            self._publisher.publish(message)

    def _on_ack(self, ack: msg.TransitionAck) -> None:
        if ack.run_id != self._run_id:
            return
        if ack.status == msg.TransitionAck.RETRY:
            self._delivery.postpone(ack.sequence_number)
            return
        settled = self._delivery.settle(ack.sequence_number)
        if settled is None or ack.status in _SETTLED:
            return
        text = f"trainer_node refused transition {ack.sequence_number}: {ack.message}"
        if ack.status == msg.TransitionAck.REFUSED_VERSION:
            self._logger.warning(text)
        else:
            self._logger.error(text)
