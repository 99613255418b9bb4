"""Publishes trainer_node's acknowledgments of transitions, and reports the conditions about them."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_msgs import msg

from chunk_ppo_ros.agent.offenders import Offender
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of


class Acknowledger:
    """Publishes acknowledgments on `transition_ack`.

    Args:
        node: the node that publishes and reports the conditions.
        num_required: the number of transitions that make an update.
    """

    def __init__(self, node: WorkerNode, *, num_required: int) -> None:
        self._node = node
        self._num_required = num_required
        self._publisher = topics.TRANSITION_ACK.create_publisher(node)

    def acknowledge(self, id: ChunkId, acknowledgment: Acknowledgment, buffer: RolloutBuffer | None) -> None:
        """Acknowledges or refuses a transition, and says how full the rollout is.

        Args:
            id: the identity of its chunk, as its sender gave it.
            acknowledgment: the status to send and the reason for it.
            buffer: the buffer of the rollout, or None before the run has begun.
        """
        self._publisher.publish(
            msg.TransitionAck(
                header=header_of(self._node.ros_time.now()),
                run_id=id.run_id,
                sender=id.sender,
                sequence_number=id.sequence_number,
                status=acknowledgment.status,
                message=acknowledgment.reason,
                policy_version=buffer.version if buffer else 0,
                num_accepted=buffer.num_accepted if buffer else 0,
                num_required=self._num_required,
            )
        )

    def report_offenders(self, offenders: Sequence[Offender], buffer: RolloutBuffer) -> None:
        """Takes back that transitions were accepted, because an update failed because of them."""
        self._node.raise_condition(
            condition_table.TRANSITIONS_SET_ASIDE,
            numbers=", ".join(str(offender.id.sequence_number) for offender in offenders),
            version=buffer.version,
            reason=offenders[0].reason,
        )
        for offender in offenders:
            refusal = Acknowledgment(msg.TransitionAck.REFUSED_INVALID, offender.reason)
            self.acknowledge(offender.id, refusal, buffer)

    def report(self, message: msg.Transition, acknowledgment: Acknowledgment, buffer: RolloutBuffer | None) -> None:
        """Reports why transitions are not accepted, once for each new reason instead of for each transition."""
        ack, node = msg.TransitionAck, self._node
        number, reason = message.chunk.sequence_number, acknowledgment.reason
        if acknowledgment.status == ack.RETRY:
            node.raise_condition(condition_table.TRANSITIONS_DELAYED, reason=reason)
        elif acknowledgment.status == ack.REFUSED_INVALID:
            field = reason.partition(" must ")[0]
            node.raise_condition(condition_table.TRANSITION_INVALID, sequence_number=number, reason=reason, field=field)
        elif acknowledgment.status == ack.REFUSED_VERSION:
            node.raise_condition(
                condition_table.TRANSITION_OF_OTHER_VERSION,
                sequence_number=number,
                reason=reason,
                policy_version=message.chunk.policy_version,
                present_version=buffer.version if buffer else 0,
            )
        elif acknowledgment.status == ack.ACCEPTED:
            node.clear_condition(condition_table.TRANSITIONS_DELAYED)
            node.clear_condition(condition_table.TRANSITION_INVALID)
            node.clear_condition(condition_table.TRANSITION_OF_OTHER_VERSION)
