"""Knows how the newest chunks ended, and what became of their transitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from chunk_ppo_msgs import msg

from chunk_ppo_ros.data.store import RecordPlace
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns

MAX_KNOWN = 256
"""The number of chunks whose outcome is remembered after nobody should need it any more.

A node that was dead meanwhile asks for the outcome by sending its message again.
"""


@dataclasses.dataclass
class KnownChunk:
    """A chunk whose outcome is decided.

    Attributes:
        outcome: how it ended.
        index: the record of the outcome, or None until it is stored.
        transition: the record of its transition, or None where there is none yet.
        acknowledgment: the final answer of trainer_node to the transition, or None.
    """

    outcome: msg.ChunkOutcome
    index: int | None = None
    transition: RecordPlace | None = None
    acknowledgment: msg.TransitionAck | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be done for the chunk any more."""
        return not self.outcome.valid or self.acknowledgment is not None


class ChunkLedger:
    """Keeps the outcomes of chunks by their sequence numbers, and finds them by their stamps.

    The outcomes of chunks that are not settled are all kept, and of the others the newest `MAX_KNOWN`.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, KnownChunk] = {}
        self._numbers: dict[int, int] = {}  # by stamp

    def __iter__(self) -> Iterator[KnownChunk]:
        return iter(self._chunks.values())

    def find(self, number: int) -> KnownChunk | None:
        """Returns what is known of the chunk with a sequence number."""
        return self._chunks.get(number)

    def find_by_stamp(self, stamp: int) -> KnownChunk | None:
        """Returns what is known of the chunk with a stamp, ns."""
        number = self._numbers.get(stamp)
        return None if number is None else self._chunks.get(number)

    def add_outcome(self, outcome: msg.ChunkOutcome, *, index: int | None = None) -> None:
        """Adds an outcome, which takes the place of an earlier one of the chunk. `index` is its record."""
        number = outcome.sequence_number
        known = self._chunks.setdefault(number, KnownChunk(outcome))
        known.outcome, known.index = outcome, index
        self._numbers[time_to_ns(outcome.header.stamp)] = number

    def add_transition(self, place: RecordPlace) -> None:
        """Adds where the transition of a chunk is stored."""
        known = self._chunks.get(place.key.number)
        if known is not None:
            known.transition = place

    def add_acknowledgment(self, acknowledgment: msg.TransitionAck) -> None:
        """Adds the final answer of trainer_node, and forgets the oldest chunks that are settled."""
        known = self._chunks.get(acknowledgment.sequence_number)
        if known is not None:
            known.acknowledgment = acknowledgment
        self._forget()

    def oldest_index(self) -> int | None:
        """Returns the oldest record that is needed, or None where no outcome is stored."""
        return min((known.index for known in self if known.index is not None), default=None)

    def _forget(self) -> None:
        for number in list(self._chunks)[:-MAX_KNOWN]:
            if self._chunks[number].is_settled:
                stamp = time_to_ns(self._chunks.pop(number).outcome.header.stamp)
                self._numbers.pop(stamp, None)
