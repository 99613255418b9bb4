"""Delivery of what counts only when it is acknowledged: a bounded queue, a window, repetition with back-off."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

PayloadT = TypeVar("PayloadT")


@dataclasses.dataclass
class _Entry(Generic[PayloadT]):
    payload: PayloadT
    due: float
    delay: float
    first_sent: float | None = None


class Delivery(Generic[PayloadT]):
    """Holds what was not acknowledged yet and says what to send now.

    Times are seconds of a steady clock, given by the caller.

    Args:
        window: payloads that may be under way at a time.
        capacity: payloads above which `full` asks the source to hold; what is added then is kept all the same.
        first_delay: seconds after which an unanswered payload is sent again; it doubles each time.
        max_delay: largest such delay, s.
    """

    def __init__(
        self, *, window: int = 8, capacity: int = 64, first_delay: float = 1.0, max_delay: float = 10.0
    ) -> None:
        self._window = window
        self.capacity = capacity
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._entries: dict[int, _Entry[PayloadT]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether the source should hold."""
        return len(self._entries) >= self.capacity

    @property
    def eased(self) -> bool:
        """Whether a source that holds may go on: half of the capacity is free."""
        return len(self._entries) <= self.capacity // 2

    def add(self, sequence_number: int, payload: PayloadT) -> None:
        """Queues a payload; one whose number is in the queue already is ignored."""
        self._entries.setdefault(sequence_number, _Entry(payload, due=float("-inf"), delay=self._first_delay))

    def pop_due(self, now: float) -> list[PayloadT]:
        """Returns what is to be sent now: the oldest of the window that were never sent or whose delay is over."""
        due = [entry for entry in list(self._entries.values())[: self._window] if now >= entry.due]
        for entry in due:
            entry.first_sent = now if entry.first_sent is None else entry.first_sent
            entry.due = now + entry.delay
            entry.delay = min(2.0 * entry.delay, self._max_delay)
        return [entry.payload for entry in due]

    def settle(self, sequence_number: int) -> PayloadT | None:
        """An answer that needs no repetition has come; returns the payload, or None where it was settled
        before.
        """
        entry = self._entries.pop(sequence_number, None)
        return None if entry is None else entry.payload

    def postpone(self, sequence_number: int) -> None:
        """The receiver answers but cannot take it now; it is sent again after its delay, and counts as answered."""
        if sequence_number in self._entries:
            self._entries[sequence_number].first_sent = None

    def remove(self, sequence_numbers: list[int]) -> list[int]:
        """Withdraws payloads; returns the numbers of those that were still queued."""
        return [number for number in sequence_numbers if self.settle(number) is not None]

    def payloads(self) -> list[PayloadT]:
        """Returns what is queued, oldest first."""
        return [entry.payload for entry in self._entries.values()]

    def silent_for(self, now: float) -> float:
        """Seconds since the oldest unanswered payload was first sent; 0 where none is under way."""
        times = [entry.first_sent for entry in self._entries.values() if entry.first_sent is not None]
        return now - min(times) if times else 0.0
