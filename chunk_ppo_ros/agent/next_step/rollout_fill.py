"""Counts how full a rollout is, from the trainer's transitions and the chunks that may still become transitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class InFlight:
    """A chunk that may still become a transition.

    Attributes:
        sequence_number: its number in the run.
        episode: its episode.
        policy_version: the version of the weights that made it.
    """

    sequence_number: int
    episode: int
    policy_version: int


class RolloutFill:
    """Counts the transitions of one update. Training is strictly on-policy, so a rollout must never be overfull.

    Args:
        in_flight: the chunks of an earlier process that may still become transitions.
    """

    def __init__(self, in_flight: Iterable[InFlight] = ()) -> None:
        self._num_accepted = 0
        self._num_required = 0
        self._in_flight = {chunk.sequence_number: chunk for chunk in in_flight}

    @property
    def num_accepted(self) -> int:
        """The number of transitions that the trainer has."""
        return self._num_accepted

    @property
    def num_required(self) -> int:
        """The number of transitions that make an update; 0 before it is known."""
        return self._num_required

    @property
    def num_in_flight(self) -> int:
        """The number of chunks that nobody has acknowledged."""
        return len(self._in_flight)

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

    def add(self, chunk: InFlight) -> None:
        """Counts a chunk that was sent."""
        self._in_flight[chunk.sequence_number] = chunk

    def remove(self, sequence_number: int) -> None:
        """Stops counting a chunk as in flight, because it is acknowledged or makes no transition."""
        self._in_flight.pop(sequence_number, None)

    def remove_episode(self, episode: int) -> None:
        """Stops counting the chunks of a discarded episode."""
        self._in_flight = {number: chunk for number, chunk in self._in_flight.items() if chunk.episode != episode}

    def keep_version(self, version: int) -> None:
        """Stops counting the chunks of all other versions."""
        self._in_flight = {
            number: chunk for number, chunk in self._in_flight.items() if chunk.policy_version == version
        }

    def clear(self) -> None:
        """Stops counting all chunks that were sent so far."""
        self._in_flight.clear()
