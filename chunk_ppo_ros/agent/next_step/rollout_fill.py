"""Counts how full a rollout is, from the trainer's transitions and the chunks that may still become transitions."""

from __future__ import annotations

from chunk_ppo_ros.core.types import ChunkId


class RolloutFill:
    """Counts the transitions of one update. Training is strictly on-policy, so a rollout must never be overfull."""

    def __init__(self) -> None:
        self._num_accepted = 0
        self._num_required = 0
        self._in_flight: dict[int, int] = {}  # sequence number -> episode

    @property
    def is_full(self) -> bool:
        """Whether accepted transitions and chunks in flight are together as many as an update needs."""
        return self._num_accepted + len(self._in_flight) >= self._num_required

    def set_counts(self, *, num_accepted: int, num_required: int) -> None:
        """Stores the counts that the trainer sent.

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
        """Stops counting a chunk as in flight, because it is acknowledged or makes no transition."""
        self._in_flight.pop(sequence_number, None)

    def remove_episode(self, episode: int) -> None:
        """Stops counting the chunks of a discarded episode."""
        self._in_flight = {number: of for number, of in self._in_flight.items() if of != episode}

    def keep_episode(self, episode: int | None) -> None:
        """Stops counting the chunks of all other episodes. None is no episode."""
        self._in_flight = {number: of for number, of in self._in_flight.items() if of == episode}

    def clear(self) -> None:
        """Stops counting all chunks that were sent so far."""
        self._in_flight.clear()
