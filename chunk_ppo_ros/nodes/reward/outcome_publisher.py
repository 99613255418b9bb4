"""Stores and publishes how chunks ended, and repeats it for nodes that were dead when it was published."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import KnownChunk
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards import referee
from chunk_ppo_ros.rewards.referee import JudgedChunk


def chunk_of(outcome: msg.ChunkOutcome) -> ChunkId:
    """Returns the identity of the chunk that an outcome is about."""
    return ChunkId(outcome.run_id, outcome.sequence_number, outcome.episode, outcome.chunk, outcome.sender)


class OutcomePublisher:
    """Publishes on `chunk_outcome`, and repeats on `repeated_ack` what trainer_node has answered.

    Args:
        node: the node that publishes.
        log: stores outcomes before they are published.
    """

    def __init__(self, node: Node, log: RunLog) -> None:
        self._log = log
        self._outcomes = topics.CHUNK_OUTCOME.create_publisher(node)
        self._acknowledgments = topics.REPEATED_ACK.create_publisher(node)

    def publish(self, id: ChunkId, judged: JudgedChunk) -> None:
        """Stores and publishes the decision on a chunk."""
        message = conversions.outcome_to_message(id, judged.outcome, valid=judged.valid, reason=judged.reason)
        self._log.store_outcome(message)
        self._log.publish(lambda: self._outcomes.publish(message))

    def refuse(self, id: ChunkId, stamp: int, reason: str) -> ChunkOutcome:
        """Stores and publishes that a chunk makes no transition, and why. Returns this outcome.

        Args:
            id: the identity of the chunk.
            stamp: the stamp of the chunk, ns.
            reason: why it makes no transition.
        """
        judged = referee.void(reason, stamp=stamp)
        self.publish(id, judged)
        return judged.outcome

    def withdraw(self, numbers: Iterable[int], reason: str) -> None:
        """Stores and publishes that chunks whose outcomes are known make no transition after all.

        Args:
            numbers: the sequence numbers of the chunks.
            reason: why they make none.
        """
        for number in numbers:
            known = self._log.ledger.find(number)
            if known is not None and known.outcome.valid:
                self.refuse(chunk_of(known.outcome), time_to_ns(known.outcome.header.stamp), reason)

    def amend(self, id: ChunkId, outcome: ChunkOutcome) -> None:
        """Stores the outcome of a chunk whose transition is not complete, after an operator has changed it."""
        self._log.store_outcome(conversions.outcome_to_message(id, outcome))

    def repeat(self, known: KnownChunk) -> None:
        """Publishes again how a chunk ended, and what trainer_node has answered to its transition."""
        self._log.publish(lambda: self._outcomes.publish(known.outcome))
        if known.acknowledgment is not None:
            acknowledgment: msg.TransitionAck = known.acknowledgment
            self._log.publish(lambda: self._acknowledgments.publish(acknowledgment))

    def repeat_at(self, stamp: int) -> bool:
        """Publishes again how the chunk with a stamp (ns) ended. Returns whether this is known."""
        known = self._log.ledger.find_by_stamp(stamp)
        if known is not None:
            self.repeat(known)
        return known is not None
