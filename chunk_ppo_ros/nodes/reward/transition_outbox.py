"""Sends transitions, and repeats them until the trainer acknowledges them."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER, Transition
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.rewards.delivery import Delivery

_SETTLED = (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE, msg.TransitionAck.DISCARDED)


class TransitionOutbox:
    """Delivers transitions. Each is stored, and kept until the trainer acknowledges it or its episode is discarded.

    Args:
        node: the node that publishes on `transition` and listens on `transition_ack`.
        conditions: the conditions of the node.
        log: stores transitions before they are sent.
        guard: leaves out acknowledgments of other nodes than the trainer, which would make transitions forgotten;
            None makes one.
        handles: tells in which order acknowledgments are handled among other inputs.
    """

    def __init__(
        self,
        node: Node,
        conditions: Conditions,
        log: RunLog,
        guard: PublisherGuard | None = None,
        *,
        handles: Handles = not_told,
    ) -> None:
        self._logger = node.get_logger()
        self._log = log
        self._run_id = ""
        self._delivery: Delivery[msg.Transition] = Delivery()
        self._publisher = topics.TRANSITION.create_publisher(node)
        only_from_one = (guard or PublisherGuard(node, conditions)).only_from_one
        on_ack = handles(topics.TRANSITION_ACK, self._on_ack)
        subscribe(node, conditions, topics.TRANSITION_ACK, on_ack, note_sender=only_from_one)

    @property
    def delivery(self) -> Delivery[msg.Transition]:
        """The transitions that are not acknowledged yet."""
        return self._delivery

    def begin_run(self, run_id: str) -> None:
        """Drops all transitions of the run before."""
        if len(self._delivery):
            dropped = f"{count_of(len(self._delivery), 'transition')} of run {self._run_id}"
            verb = "is" if len(self._delivery) == 1 else "are"
            self._logger.warning(f"{dropped} {verb} dropped: run {run_id} began")
        self._run_id = run_id
        self._delivery = Delivery()

    def add(self, transition: Transition) -> None:
        """Stores a transition, and queues it for sending as soon as it is stored."""
        message, delivery = conversions.transition_to_message(transition), self._delivery
        self._log.store_transition(message)
        self._log.publish(lambda: delivery.add(message.chunk.sequence_number, message))

    def restore(self, messages: Iterable[msg.Transition]) -> None:
        """Queues transitions that an earlier process has stored."""
        for message in messages:
            self._delivery.add(message.chunk.sequence_number, message)

    def discard_episode(self, episode: int) -> list[int]:
        """Withdraws the transitions of an episode that are not acknowledged yet, and returns their numbers."""
        queued = [message.chunk for message in self._delivery.payloads() if message.chunk.episode == episode]
        return self._delivery.remove([chunk.sequence_number for chunk in queued])

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
        if settled is None:
            return
        self._log.settle(ack)
        if ack.status in _SETTLED:
            return
        text = f"trainer_node refused transition {ack.sequence_number}: {ack.message}"
        if ack.status == msg.TransitionAck.REFUSED_VERSION:
            self._logger.warning(text)
        else:
            self._logger.error(text)
