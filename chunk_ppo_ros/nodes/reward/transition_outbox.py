"""Sends transitions, and repeats them until the trainer acknowledges them."""

from __future__ import annotations

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER, Transition
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.rewards.delivery import Delivery

_SETTLED = (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE, msg.TransitionAck.DISCARDED)


class TransitionOutbox:
    """Delivers transitions. It keeps each one until the trainer acknowledges it or its episode is discarded.

    Args:
        node: the node that publishes on `transition` and listens on `transition_ack`.
        conditions: the conditions of the node.
        guard: leaves out acknowledgments of other nodes than the trainer, which would make transitions forgotten;
            None makes one.
    """

    def __init__(self, node: Node, conditions: Conditions, guard: PublisherGuard | None = None) -> None:
        self._logger = node.get_logger()
        self._run_id = ""
        self._delivery: Delivery[msg.Transition] = Delivery()
        self._publisher = topics.TRANSITION.create_publisher(node)
        only_from_one = (guard or PublisherGuard(node, conditions)).only_from_one
        subscribe(node, conditions, topics.TRANSITION_ACK, self._on_ack, note_sender=only_from_one)

    @property
    def delivery(self) -> Delivery[msg.Transition]:
        """The transitions that are not acknowledged yet."""
        return self._delivery

    def begin_run(self, run_id: str) -> None:
        """Drops all transitions of the run before."""
        if len(self._delivery):
            dropped = f"{len(self._delivery)} transitions of run {self._run_id}"
            self._logger.warning(f"{dropped} are dropped: run {run_id} began")
        self._run_id = run_id
        self._delivery = Delivery()

    def add(self, transition: Transition) -> None:
        """Queues a transition for sending."""
        self._delivery.add(transition.id.sequence_number, conversions.transition_to_message(transition))

    def discard_episode(self, episode: int) -> int:
        """Withdraws the transitions of an episode that are not acknowledged yet, and returns their number."""
        queued = [message.chunk for message in self._delivery.payloads() if message.chunk.episode == episode]
        return len(self._delivery.remove([chunk.sequence_number for chunk in queued]))

    def send_due(self, now: float) -> None:
        """Publishes the transitions that are due at `now`, in seconds of a steady clock."""
        for message in self._delivery.pop_due(now):
            self._publisher.publish(message)

    def _on_ack(self, ack: msg.TransitionAck) -> None:
        if (ack.run_id, ack.sender) != (self._run_id, DEFAULT_SENDER):
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
