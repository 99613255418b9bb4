"""The buffer of one rollout, which decides which transitions are accepted for the next update."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.nodes.wire import conversions


@dataclasses.dataclass(frozen=True)
class Acknowledgment:
    """The content of an acknowledgment, which is sent to the sender of a transition.

    Attributes:
        status: one of the constants of TransitionAck.
        reason: why the transition is not accepted, or empty if it is.
    """

    status: int
    reason: str = ""


class RolloutBuffer:
    """Accepts each transition that fits once, after it is written to disk.

    Args:
        run_id: the run whose transitions belong here.
        version: the policy version whose transitions belong here.
        num_required: the number of transitions that make an update.
        journal: keeps the accepted transitions on disk.
        check: raises ValueError if a transition does not fit the configuration.
        trained: the sequence numbers that the update before was made from, whose transitions may be sent again.
    """

    def __init__(
        self,
        *,
        run_id: str,
        version: int,
        num_required: int,
        journal: TransitionJournal,
        check: Callable[[Transition], None],
        trained: frozenset[int] = frozenset(),
    ) -> None:
        self.run_id = run_id
        self.version = version
        self.num_required = num_required
        self.num_refused = 0
        self._journal = journal
        self._check = check
        self._trained = trained
        self._accepted: dict[int, Transition] = {}
        self._discarded_episodes: set[int] = set()

    @property
    def num_accepted(self) -> int:
        """The number of accepted transitions."""
        return len(self._accepted)

    @property
    def is_complete(self) -> bool:
        """Whether there are enough transitions for an update."""
        return self.num_accepted >= self.num_required

    @property
    def transitions(self) -> list[Transition]:
        """The accepted transitions by sequence number."""
        return [self._accepted[number] for number in sorted(self._accepted)]

    def restore(self) -> list[str]:
        """Takes the transitions of the journal that still fit, and returns why the others do not.

        Raises:
            UserError: when the journal has another format. Nothing is taken then.
        """
        refusals = []
        for number, raw in self._journal.read(version=self.version).items():
            judged = self._judge(deserialize_message(raw, msg.Transition))
            if isinstance(judged, Acknowledgment):
                refusals.append(f"{number}: {judged.reason}")
            else:
                self._accepted[number] = judged
        return refusals

    def add(self, raw: bytes, message: msg.Transition) -> Acknowledgment:
        """Accepts a transition or returns why it does not.

        Args:
            raw: the serialized message.
            message: the same message, deserialized.
        """
        judged = self._judge(message)
        if isinstance(judged, Acknowledgment):
            self.num_refused += judged.status in (msg.TransitionAck.REFUSED_VERSION, msg.TransitionAck.REFUSED_INVALID)
            return judged
        try:
            self._journal.add(raw, version=self.version, sequence_number=message.chunk.sequence_number)
        except OSError as error:
            return Acknowledgment(msg.TransitionAck.RETRY, f"the journal cannot be written: {error}")
        self._accepted[message.chunk.sequence_number] = judged
        return Acknowledgment(msg.TransitionAck.ACCEPTED)

    def discard(self, episode: int) -> list[ChunkId]:
        """Drops the transitions of an episode, also those that arrive later, and returns the dropped chunks."""
        self._discarded_episodes.add(episode)
        dropped = [transition.id for transition in self._accepted.values() if transition.id.episode == episode]
        self._journal.remove([id.sequence_number for id in dropped], version=self.version)
        for id in dropped:
            del self._accepted[id.sequence_number]
        return dropped

    def _judge(self, message: msg.Transition) -> Transition | Acknowledgment:
        """Returns the transition if it belongs to this rollout and fits, else the refusal."""
        ack, chunk = msg.TransitionAck, message.chunk
        if chunk.run_id != self.run_id:
            return Acknowledgment(ack.REFUSED_INVALID, f"run_id must be {self.run_id!r}, got {chunk.run_id!r}")
        if chunk.sequence_number in self._accepted or chunk.sequence_number in self._trained:
            return Acknowledgment(ack.DUPLICATE)
        if chunk.policy_version != self.version:
            reason = f"policy_version must be {self.version}, got {chunk.policy_version}"
            return Acknowledgment(ack.REFUSED_VERSION, reason)
        if chunk.episode in self._discarded_episodes:
            return Acknowledgment(ack.DISCARDED, f"episode {chunk.episode} is discarded")
        if self.is_complete:
            return Acknowledgment(ack.REFUSED_VERSION, f"the rollout of version {self.version} is complete")
        try:
            transition = conversions.transition_from_message(message)
            self._check(transition)
        except ValueError as error:
            return Acknowledgment(ack.REFUSED_INVALID, str(error))
        return transition
