"""The buffer of one rollout, which decides which transitions are accepted for the next update."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.wire import conversions


class RolloutBuffer:
    """Holds the transitions of one version, those that are on disk and those that are being written.

    Args:
        run_id: the run whose transitions belong here.
        version: the policy version whose transitions belong here.
        num_required: the number of transitions that make an update.
        journal: knows which episodes were discarded.
        check: raises ValueError if a transition does not fit the configuration.
    """

    def __init__(
        self,
        *,
        run_id: str,
        version: int,
        num_required: int,
        journal: RolloutJournal,
        check: Callable[[Transition], None],
    ) -> None:
        self.run_id = run_id
        self.version = version
        self.num_required = num_required
        self.num_refused = 0
        self._journal = journal
        self._check = check
        self._accepted: dict[ChunkKey, Transition] = {}
        self._unstored: dict[ChunkKey, Transition] = {}

    @property
    def num_accepted(self) -> int:
        """The number of accepted transitions, which are on disk."""
        return len(self._accepted)

    @property
    def num_being_stored(self) -> int:
        """The number of transitions that are here and not on disk yet."""
        return len(self._unstored)

    @property
    def is_complete(self) -> bool:
        """Whether there are enough transitions for an update."""
        return self.num_accepted >= self.num_required

    @property
    def transitions(self) -> list[Transition]:
        """The accepted transitions by sender and sequence number."""
        return [self._accepted[key] for key in sorted(self._accepted)]

    def holds(self, key: ChunkKey) -> bool:
        """Returns whether a transition is here, on disk or being written."""
        return key in self._accepted or key in self._unstored

    def is_being_stored(self, key: ChunkKey) -> bool:
        """Returns whether a transition is here that is not on disk yet. It is answered when it is."""
        return key in self._unstored

    @property
    def is_full(self) -> bool:
        """Whether there is no place for another transition, as far as those that are being written get to the disk."""
        return self.num_accepted + self.num_being_stored >= self.num_required

    def judge(self, message: msg.Transition) -> Transition | Acknowledgment:
        """Returns the transition if it belongs to this rollout and fits, else the answer to it.

        Whether it was seen before is not asked here.
        """
        ack, chunk = msg.TransitionAck, message.chunk
        if chunk.run_id != self.run_id:
            return Acknowledgment(ack.REFUSED_INVALID, f"run_id must be {self.run_id!r}, got {chunk.run_id!r}")
        if self._journal.is_discarded(chunk.sender, chunk.episode):
            return Acknowledgment(ack.DISCARDED, f"episode {chunk.episode} is discarded")
        if chunk.policy_version != self.version:
            reason = f"policy_version must be {self.version}, got {chunk.policy_version}"
            return Acknowledgment(ack.REFUSED_VERSION, reason)
        if self.is_full:
            return Acknowledgment(ack.REFUSED_VERSION, f"the rollout of version {self.version} is complete")
        try:
            transition = conversions.transition_from_message(message)
            self._check(transition)
        except ValueError as error:
            return Acknowledgment(ack.REFUSED_INVALID, str(error))
        return transition

    def reserve(self, transition: Transition) -> None:
        """Keeps a place for a transition that is being written."""
        self._unstored[transition.id.key] = transition

    def accept(self, transition: Transition) -> Acknowledgment:
        """Takes a transition that is on disk, unless its episode was discarded meanwhile. Returns the answer to it."""
        id = transition.id
        self._unstored.pop(id.key, None)
        if self._journal.is_discarded(id.sender, id.episode):
            return Acknowledgment(msg.TransitionAck.DISCARDED, f"episode {id.episode} is discarded")
        self._accepted[id.key] = transition
        return Acknowledgment(msg.TransitionAck.ACCEPTED)

    def release(self, transition: Transition) -> None:
        """Gives up the place of a transition that could not be written."""
        self._unstored.pop(transition.id.key, None)

    def drop(self, key: ChunkKey) -> Transition:
        """Drops an accepted transition and returns it."""
        return self._accepted.pop(key)

    def drop_episode(self, sender: str, episode: int) -> list[ChunkId]:
        """Drops the accepted transitions of an episode, and returns the dropped chunks."""
        ids = [transition.id for transition in self._accepted.values()]
        return [id for id in ids if (id.sender, id.episode) == (sender, episode) and self._accepted.pop(id.key)]
