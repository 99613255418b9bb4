"""Says what the records of policy_node's store hold, and what is written together."""

from __future__ import annotations

import dataclasses
import enum

from chunk_ppo_ros.data.store import Entry, RecordPlace


class Kind(enum.IntEnum):
    """What a record holds. Its number is the sequence number of the chunk where nothing else is said."""

    CHUNK = 1  # a serialized ActionChunk
    BOOTSTRAP = 2  # a serialized Bootstrap
    PROGRESS = 3  # JSON; its number is the next sequence number
    SEGMENT = 4  # the readings before a segment that a human drives, as `segment_record.py` writes them; its stamp
    SETTLED = 0x81  # nothing; the upper bit says of all stores that a message is settled


@dataclasses.dataclass(frozen=True)
class StoredChunk:
    """A chunk that nobody has settled.

    Attributes:
        episode: its episode.
        policy_version: the version of the weights that made it.
        place: where its message is.
        bootstrap: where the message of the value after it is, or None.
    """

    episode: int
    policy_version: int
    place: RecordPlace
    bootstrap: RecordPlace | None = None


@dataclasses.dataclass(frozen=True)
class Write:
    """Records that are to be written together.

    Attributes:
        run_id: the run of the records.
        entries: the records.
        settled: the chunks that the records mark as settled.
        keep_from: the index of the oldest record that is still needed.
    """

    run_id: str
    entries: tuple[Entry, ...]
    settled: tuple[int, ...]
    keep_from: int
