"""How full a rollout is: the transitions that the trainer holds and the chunks that are on their way to become some."""

from __future__ import annotations

from chunk_ppo_ros.core.types import ChunkId


class RolloutFill:
    """Counts towards one update. The policy stays strictly on-policy, so that the rollout must never be overfull."""

    def __init__(self) -> None:
        self._num_accepted = 0
        self._num_required = 0
        self._in_flight: dict[int, int] = {}  # sequence number -> episode

    @property
    def is_full(self) -> bool:
        """Whether accepted transitions and chunks in flight together are as many as an update needs."""
        return self._num_accepted + len(self._in_flight) >= self._num_required

    def set_counts(self, *, num_accepted: int, num_required: int) -> None:
        """Takes over the trainer's counts.

        Args:
            num_accepted: the transitions of the present version that the trainer holds.
            num_required: the transitions that make an update.
        """
        self._num_accepted = num_accepted
        self._num_required = num_required

    def add(self, chunk: ChunkId) -> None:
        """Counts a chunk that was sent."""
        self._in_flight[chunk.sequence_number] = chunk.episode

    def remove(self, sequence_number: int) -> None:
        """Counts a chunk no longer: it is acknowledged, or it makes no transition."""
        self._in_flight.pop(sequence_number, None)

    def remove_episode(self, episode: int) -> None:
        """Counts the chunks of a discarded episode no longer."""
        self._in_flight = {number: of for number, of in self._in_flight.items() if of != episode}

    def clear(self) -> None:
        """Counts none of the chunks that were sent so far."""
        self._in_flight.clear()
