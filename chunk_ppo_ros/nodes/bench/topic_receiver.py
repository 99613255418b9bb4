"""Receives the transitions that `topic_bench.py` sends, writes them to a journal, and acknowledges them."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.evaluation.bench.bench_inputs import RUN_ID
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.handover import Handover
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.trainer.stored_transitions import StoredTransitions
from chunk_ppo_ros.nodes.trainer.transition_intake import TransitionIntake
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of

_MAX_JOURNAL = 256 * 2**20  # bytes


class Receiver(Node):
    """Receives transitions as trainer_node does, without the update and the learner's check of shapes.

    Args:
        folder: the folder of the journal.
        num_required: the number of transitions in a rollout.
    """

    def __init__(self, folder: Path, num_required: int) -> None:
        super().__init__("bench_receiver")
        self._num_required = num_required
        self._journal = RolloutJournal(folder)
        self._journal.open()
        self._consumed = NOTHING_CONSUMED
        self._journal.begin_run(RUN_ID, self._consumed)
        stored = StoredTransitions(self._journal, lambda key, raw, reason: None)
        self._intake = TransitionIntake(
            self._journal, stored, lambda key, raw, reason, then: then(None), Handover(self)
        )
        self._buffer = self._new_buffer(0)
        self._acks = topics.TRANSITION_ACK.create_publisher(self)
        topics.TRANSITION.create_raw_subscription(self, self._on_transition)

    def destroy_node(self) -> None:
        """Closes the journal and destroys the node."""
        self._journal.close()
        super().destroy_node()

    def _new_buffer(self, version: int) -> RolloutBuffer:
        return RolloutBuffer(
            run_id=RUN_ID,
            version=version,
            num_required=self._num_required,
            journal=self._journal,
            check=lambda transition: None,
        )

    def _on_transition(self, raw: bytes) -> None:
        message, buffer = deserialize_message(raw, msg.Transition), self._buffer
        self._intake.take(buffer, raw, message, lambda answer: self._answer(buffer, message, answer))

    def _answer(self, buffer: RolloutBuffer, message: msg.Transition, acknowledgment: Acknowledgment) -> None:
        self._acks.publish(
            msg.TransitionAck(
                header=header_of(self.get_clock().now().nanoseconds),
                run_id=message.chunk.run_id,
                sender=message.chunk.sender,
                sequence_number=message.chunk.sequence_number,
                status=acknowledgment.status,
                message=acknowledgment.reason,
                policy_version=buffer.version,
                num_accepted=buffer.num_accepted,
                num_required=buffer.num_required,
            )
        )
        if buffer.is_complete:
            self._consumed = self._consumed.after(buffer.version + 1, [one.id.key for one in buffer.transitions])
            self._journal.mark_consumed(self._consumed)
            self._journal.remove_oldest(max_bytes=_MAX_JOURNAL)
            self._buffer = self._new_buffer(buffer.version + 1)
