"""Keeps messages on disk until nobody needs them any more."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.data.store.contents import Contents
from chunk_ppo_ros.data.store.group_commit import GroupCommit, Result
from chunk_ppo_ros.data.store.records import Entry, Key, RecordPlace
from chunk_ppo_ros.data.store.segment_file import first_index_of, list_segments
from chunk_ppo_ros.data.store.store import DamagedRecord, Store

MAX_SEGMENTS = 8
"""The number of segments from which on the messages of the oldest are written anew, so that it can be removed."""

_SETTLED = 0x80
"""Is added to the kind of a message in the record that says that the message is settled."""


def message_key(key: Key) -> Key:
    """Returns the identity of the message that a record of a queue holds, or that it says is settled."""
    return Key(key.kind & ~_SETTLED, key.sender, key.number)


class StoredQueue:
    """Keeps messages in a store until they are settled, also through restarts. Payloads are on disk only.

    Every method may be called from any thread.

    Args:
        store: the store, which is not opened yet. Nobody else may append to it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._commit: GroupCommit | None = None
        self._lock = threading.Lock()
        self._waiting: set[Key] = set()  # not durable yet
        self._settled_early: set[Key] = set()  # settled before they were durable
        self._places: dict[Key, RecordPlace] = {}  # stored and not settled
        self._unsettled: collections.Counter[Path] = collections.Counter()  # such messages by segment

    def open(self) -> Contents:
        """Locks the store and restores the messages that are not settled. Returns all that the store holds.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when the messages have another format.
        """
        contents = self.store.open()
        for place in contents.records:
            if place.key.kind & _SETTLED:
                self._forget(message_key(place.key))
            else:
                self._remember(place)
        self._commit = GroupCommit(self.store)
        self._remove_settled()
        return contents

    def put(self, key: Key, payload: bytes, on_durable: Callable[[OSError | None], None]) -> bool:
        """Stores a message, unless the queue has it already.

        Args:
            key: the identity of the message, with a kind of 0 to 127.
            payload: the serialized message.
            on_durable: is called in the thread of the store, with None when the message survives a power cut, or with
                the error for which it is not stored. It must not raise.

        Returns:
            Whether it is new. Otherwise `on_durable` is not called.
        """
        if key.kind & _SETTLED:
            raise ValueError(f"a queued message must have a kind of 0 to 127, got {key.kind}; take a smaller one")
        with self._lock:
            if key in self._waiting or key in self._places:
                return False
            self._waiting.add(key)
        entry = Entry(key.kind, key.sender, key.number, payload)
        self._opened().submit(entry, lambda result: self._on_stored(key, result, on_durable))
        return True

    def settle(self, key: Key) -> bool:
        """Marks a message as one that nobody needs any more. Returns whether the queue had it.

        The mark may be lost in a power cut. The message is then there again, and is settled again.
        """
        with self._lock:
            if key in self._waiting:
                self._settled_early.add(key)
            elif key in self._places:
                self._forget(key)
            else:
                return False
        mark = Entry(key.kind | _SETTLED, key.sender, key.number, b"")
        self._opened().submit(mark, lambda result: self._remove_settled(), sync=False)
        return True

    def pending(self) -> tuple[Key, ...]:
        """Returns the messages that are stored and not settled, oldest first."""
        with self._lock:
            return tuple(self._places)

    def read(self, key: Key) -> bytes | None:
        """Returns the payload of a message, or None where it is settled or not stored yet.

        Raises:
            OSError: when the file cannot be read.
            DamagedRecord: when its bytes were changed on the disk.
        """
        with self._lock:
            place = self._places.get(key)
            return None if place is None else self.store.read(place)

    def close(self) -> None:
        """Stores what waits, and frees the folder."""
        if self._commit is not None:
            self._commit.close()
            self._commit = None
        self.store.close()

    def _opened(self) -> GroupCommit:
        if self._commit is None:
            raise RuntimeError(f"the queue in {self.store.folder} must be opened before it is used")
        return self._commit

    def _on_stored(self, key: Key, result: Result, on_durable: Callable[[OSError | None], None]) -> None:
        with self._lock:
            self._waiting.discard(key)
            if isinstance(result, RecordPlace) and key not in self._settled_early:
                self._remember(result)
            self._settled_early.discard(key)
        on_durable(result if isinstance(result, OSError) else None)

    def _remember(self, place: RecordPlace) -> None:
        former = self._places.get(place.key)
        if former is not None:
            self._unsettled[former.segment] -= 1
        self._places[place.key] = place
        self._unsettled[place.segment] += 1

    def _forget(self, key: Key) -> None:
        place = self._places.pop(key, None)
        if place is not None:
            self._unsettled[place.segment] -= 1

    def _remove_settled(self) -> None:
        """Removes the oldest segments, as far as all of their messages are settled. The thread of the store calls it.

        A message that is never settled does not keep all later segments: it is written anew. What the disk refuses now
        is tried again by the next call.
        """
        with contextlib.suppress(OSError):
            self._remove_oldest()
            paths = list_segments(self.store.folder)
            if len(paths) > MAX_SEGMENTS:
                self._write_anew(paths[0])
                self._remove_oldest()

    def _remove_oldest(self) -> None:
        with self._lock:
            self._unsettled = +self._unsettled
            before = min(map(first_index_of, self._unsettled), default=2**64)
        self.store.remove_segments(before)

    def _write_anew(self, segment: Path) -> None:
        """Appends the messages of a segment that are not settled once more.

        Raises:
            OSError: when one cannot be read or stored. Those before it are stored.
        """
        with self._lock:
            places = [place for place in self._places.values() if place.segment == segment]
        for place in places:
            with contextlib.suppress(DamagedRecord):  # It stays where it is, and `read` tells it to the node.
                entry = Entry(place.key.kind, place.key.sender, place.key.number, self.store.read(place))
                (copy,) = self.store.append([entry])
                with self._lock:
                    if place.key in self._places:
                        self._remember(copy)
