"""Keeps the transitions that cannot be trained on, each with its reason. None of them is trained on later.

They are in a store (docs/store-format.md) whose payloads are a line of JSON and then the message as it came.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.store import Contents, Entry, GroupCommit, RecordPlace, Store, read_payload, read_store

NAME = "set_aside"
"""The name of the store and of its folder."""
MAX_BYTES = 256 * 2**20
"""The size from which on the oldest records are removed, bytes."""
SEGMENT_BYTES = 16 * 2**20
"""The size from which on a new segment is begun, bytes. The oldest records are removed a segment at a time."""
TRANSITION = 1
"""The kind of the records."""
_LONGEST_TEXT = 2000  # characters of a reason or a name
_REMEMBERED = 4096  # transitions whose repetition is not stored again


@dataclasses.dataclass(frozen=True)
class SetAsideTransition:
    """A transition that was set aside.

    Attributes:
        id: the identity that it gives, or None where that cannot be read.
        reason: why it cannot be trained on.
        message: the serialized message, or as much of it as there is.
    """

    id: ChunkId | None
    reason: str
    message: bytes

    def entry(self) -> Entry:
        """Returns its record."""
        id = None if self.id is None else {name: _short(value) for name, value in dataclasses.asdict(self.id).items()}
        line = json.dumps({"id": id, "reason": _short(self.reason)}).encode()
        sender, number = ("", 0) if self.id is None else (self.id.sender[:60], self.id.sequence_number)
        return Entry(TRANSITION, sender, number, line + b"\n" + self.message)

    @classmethod
    def of_payload(cls, payload: bytes) -> SetAsideTransition:
        """Returns the transition of a record."""
        line, _, message = payload.partition(b"\n")
        content = json.loads(line)
        id = None if content["id"] is None else ChunkId(**content["id"])
        return cls(id, content["reason"], message)


def _short(value: str | int) -> str | int:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value


def read_set_aside(folder: Path) -> list[SetAsideTransition]:
    """Returns the transitions that a run has set aside, oldest first.

    Args:
        folder: the folder of the store.

    Raises:
        OSError: when a file cannot be read.
    """
    return [SetAsideTransition.of_payload(read_payload(place)) for place in read_store(folder).records]


class SetAsideStore:
    """Stores transitions that were set aside, in a thread. The oldest ones are removed above `max_bytes`.

    Args:
        folder: the folder of the store.
        max_bytes: the size from which on the oldest records are removed, bytes.
        segment_bytes: the size from which on a new segment is begun, bytes.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._store = Store(folder, name=NAME, segment_bytes=segment_bytes)
        self._max_bytes = max_bytes
        self._commit: GroupCommit | None = None
        self._stored: collections.OrderedDict[tuple[ChunkId | None, int], None] = collections.OrderedDict()
        self._segments: dict[Path, int] = {}  # the index of the first record of each

    def open(self, run_id: str) -> Contents:
        """Locks the store and returns what it holds.

        Args:
            run_id: the run whose transitions are set aside from now on.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when the store holds messages of another format.
        """
        contents = self._store.open(check_payloads=False)
        self._store.begin_run(run_id)
        self._segments = {segment.path: segment.first_index for segment in contents.segments}
        self._commit = GroupCommit(self._store)
        return contents

    def put(self, transition: SetAsideTransition, on_stored: Callable[[OSError | None], None]) -> None:
        """Stores a transition, unless the same one was stored a short time ago.

        Args:
            transition: the transition.
            on_stored: is called when the transition survives a power cut, or with the error for which it does not. The
                thread of the store calls it, or this method itself where the transition is stored already.

        Raises:
            RuntimeError: when the store is not open.
        """
        if self._commit is None:
            raise RuntimeError("the store of transitions that are set aside must be opened before it is used")
        entry = transition.entry()
        key = (transition.id, zlib.crc32(transition.message))
        if key in self._stored:
            on_stored(None)
            return

        def stored(result: RecordPlace | OSError) -> None:
            on_stored(result if isinstance(result, OSError) else None)
            if isinstance(result, RecordPlace):
                self._note(key, result)

        self._commit.submit(entry, stored)

    def close(self) -> None:
        """Stores what waits, and frees the folder.

        Raises:
            OSError: when it cannot be synced.
        """
        if self._commit is not None:
            self._commit.close()
            self._commit = None
        self._stored.clear()
        self._store.close()

    def _note(self, key: tuple[ChunkId | None, int], place: RecordPlace) -> None:
        """Remembers a stored transition, and removes the oldest segment where there is too much."""
        self._stored[key] = None
        if len(self._stored) > _REMEMBERED:
            self._stored.popitem(last=False)
        self._segments.setdefault(place.segment, place.index)
        if len(self._segments) > 1 and self._store.num_bytes > self._max_bytes:
            oldest, following = list(self._segments)[:2]
            self._store.remove_segments(self._segments[following])
            del self._segments[oldest]
