"""Delivers payloads that count only once they are acknowledged.

Payloads wait in a queue, a window of them is under way at a time, and each is sent again after a growing delay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

WINDOW = 8
"""The number of payloads that are under way at a time, where the caller does not say another one."""

PayloadT = TypeVar("PayloadT")
KeyT = TypeVar("KeyT", bound=Hashable)


@dataclasses.dataclass
class _Entry(Generic[PayloadT]):
    payload: PayloadT
    due: float
    delay: float
    first_sent: float | None = None


class Delivery(Generic[PayloadT]):
    """Holds the payloads that are not acknowledged yet, and says which of them to send now.

    The caller gives all times, in seconds of a steady clock.

    Args:
        window: the number of payloads that may be under way at a time.
        capacity: the number of payloads from which on `full` asks the source to hold. Payloads beyond it are kept too.
        first_delay: the time after which a payload without an acknowledgment is sent again, s. It doubles each time.
        max_delay: the largest such delay, s.
    """

    def __init__(
        self, *, window: int = WINDOW, capacity: int = 64, first_delay: float = 1.0, max_delay: float = 10.0
    ) -> None:
        self._window = window
        self.capacity = capacity
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._entries: dict[Hashable, _Entry[PayloadT]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether the source should hold, because the queue has reached its capacity."""
        return len(self._entries) >= self.capacity

    @property
    def eased(self) -> bool:
        """Whether a source that holds may go on, because half of the capacity is free."""
        return len(self._entries) <= self.capacity // 2

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def add(self, key: Hashable, payload: PayloadT, *, sent_at: float | None = None) -> None:
        """Queues a payload. It is ignored where the queue has its key already.

        Args:
            key: the identity of the payload, such as its sequence number.
            payload: what is delivered.
            sent_at: the time at which the caller sent it for the first time, or None where `pop_due` returns it first.
        """
        due = float("-inf") if sent_at is None else sent_at + self._first_delay
        delay = self._first_delay if sent_at is None else min(2.0 * self._first_delay, self._max_delay)
        self._entries.setdefault(key, _Entry(payload, due, delay, sent_at))

    def pop_due(self, now: float) -> list[PayloadT]:
        """Returns the payloads of the window that were never sent, or whose delay is over, oldest first."""
        due = [entry for entry in list(self._entries.values())[: self._window] if now >= entry.due]
        for entry in due:
            entry.first_sent = now if entry.first_sent is None else entry.first_sent
            entry.due = now + entry.delay
            entry.delay = min(2.0 * entry.delay, self._max_delay)
        return [entry.payload for entry in due]

    def settle(self, key: Hashable) -> PayloadT | None:
        """Takes a payload that was acknowledged for good out of the queue.

        Returns:
            The payload, or None where it was settled before.
        """
        entry = self._entries.pop(key, None)
        return None if entry is None else entry.payload

    def postpone(self, key: Hashable) -> None:
        """Records that the receiver answered but cannot take a payload now.

        The payload is sent again after its delay, and `silent_for` does not count it until then.
        """
        if key in self._entries:
            self._entries[key].first_sent = None

    def remove(self, keys: Sequence[KeyT]) -> list[KeyT]:
        """Withdraws payloads, and returns the keys of those that were still queued."""
        return [key for key in keys if self.settle(key) is not None]

    def payloads(self) -> list[PayloadT]:
        """Returns the queued payloads, oldest first."""
        return [entry.payload for entry in self._entries.values()]

    def silent_for(self, now: float) -> float:
        """Returns the time in s since the oldest payload without an answer was first sent, or 0 without one."""
        times = [entry.first_sent for entry in self._entries.values() if entry.first_sent is not None]
        return now - min(times) if times else 0.0
