"""The transitions of one policy version on their way to an update: what is accepted, what is refused and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.nodes.wire import conversions


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer to one transition.

    Attributes:
        status: one of the constants of TransitionAck.
        reason: why it is not accepted.
    """

    status: int
    reason: str = ""


class Collection:
    """Accepts each fitting transition once, after it is on disk.

    Args:
        run_id: of the transitions that belong here.
        version: policy version of the transitions that belong here.
        num_required: transitions that make an update.
        journal: keeps the accepted ones.
        check: raises ValueError where a transition does not fit the configuration.
        trained: sequence numbers of the update before; they may be sent again.
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
        """Transitions accepted so far."""
        return len(self._accepted)

    @property
    def is_complete(self) -> bool:
        """Whether there are enough for an update."""
        return self.num_accepted >= self.num_required

    @property
    def transitions(self) -> list[Transition]:
        """The accepted transitions by sequence number."""
        return [self._accepted[number] for number in sorted(self._accepted)]

    def restore(self) -> list[str]:
        """Takes what the journal holds, as far as it still fits; returns the reasons against the rest."""
        refusals = []
        for number, raw in self._journal.read(version=self.version).items():
            verdict = self._judge(deserialize_message(raw, msg.Transition))
            if isinstance(verdict, Verdict):
                refusals.append(f"{number}: {verdict.reason}")
            else:
                self._accepted[number] = verdict
        return refusals

    def add(self, raw: bytes, message: msg.Transition) -> Verdict:
        """Accepts a transition or says why not.

        Args:
            raw: the message as it came.
            message: the same, deserialised.
        """
        verdict = self._judge(message)
        if isinstance(verdict, Verdict):
            self.num_refused += verdict.status in (msg.TransitionAck.REFUSED_VERSION, msg.TransitionAck.REFUSED_INVALID)
            return verdict
        try:
            self._journal.add(raw, version=self.version, sequence_number=message.sequence_number)
        except OSError as error:
            return Verdict(msg.TransitionAck.RETRY, f"the journal cannot be written: {error}")
        self._accepted[message.sequence_number] = verdict
        return Verdict(msg.TransitionAck.ACCEPTED)

    def discard(self, episode: int) -> list[int]:
        """Drops an episode's transitions, also those that come later; returns the dropped sequence numbers."""
        self._discarded_episodes.add(episode)
        dropped = [number for number, transition in self._accepted.items() if transition.id.episode == episode]
        self._journal.remove(dropped, version=self.version)
        for number in dropped:
            del self._accepted[number]
        return dropped

    def _judge(self, message: msg.Transition) -> Transition | Verdict:
        """The transition where it belongs here and fits, else why not."""
        ack = msg.TransitionAck
        if message.run_id != self.run_id:
            return Verdict(ack.REFUSED_INVALID, f"run_id must be {self.run_id!r}, got {message.run_id!r}")
        if message.sequence_number in self._accepted or message.sequence_number in self._trained:
            return Verdict(ack.DUPLICATE)
        if message.policy_version != self.version:
            reason = f"policy_version must be {self.version}, got {message.policy_version}"
            return Verdict(ack.REFUSED_VERSION, reason)
        if message.episode in self._discarded_episodes:
            return Verdict(ack.DISCARDED, f"episode {message.episode} is discarded")
        if self.is_complete:
            return Verdict(ack.REFUSED_VERSION, f"the rollout of version {self.version} is complete")
        try:
            transition = conversions.transition_from_message(message)
            self._check(transition)
        except ValueError as error:
            return Verdict(ack.REFUSED_INVALID, str(error))
        return transition
