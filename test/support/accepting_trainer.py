"""Plays a trainer that accepts every transition and never updates."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.nodes.wire import conversions, qos
from support.node_harness import Peer


class AcceptingTrainer(Peer):
    """Announces version 0, and accepts all transitions."""

    def __init__(self) -> None:
        super().__init__()
        self.transitions: list[Transition] = []
        self._num_required = 0
        self._versions = self.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self._acks = self.create_publisher(msg.TransitionAck, "transition_ack", qos.ACKNOWLEDGMENT)
        self.create_subscription(msg.Transition, "transition", self._on_transition, qos.TRANSITION)

    def announce(self, checkpoint: Path, *, num_required: int) -> None:
        """Makes the folder of a checkpoint and announces it, for a rollout of so many transitions."""
        checkpoint.mkdir()
        self._num_required = num_required
        self._versions.publish(msg.PolicyVersion(run_id="run", checkpoint=str(checkpoint), num_required=num_required))

    def _on_transition(self, message: msg.Transition) -> None:
        self.transitions.append(conversions.transition_from_message(message))
        chunk, done = message.chunk, {"num_accepted": len(self.transitions), "num_required": self._num_required}
        ack = msg.TransitionAck(run_id="run", sender=chunk.sender, sequence_number=chunk.sequence_number, **done)
        self._acks.publish(ack)
