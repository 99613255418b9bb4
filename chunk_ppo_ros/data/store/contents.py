"""Defines what is found when a store is read: its records, and the places where bytes are damaged or missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.data.store.records import Key, RecordPlace


@dataclasses.dataclass(frozen=True)
class Hole:
    """Bytes of a segment that hold no readable record, although a record was stored there.

    Attributes:
        segment: the file.
        offset: the first such byte.
        end: the first byte after them.
        missing: the indices of the records that are lost. It is empty where only the header of the file is damaged.
        key: the identity of the lost message where it is known, which is so when only its payload is damaged.
    """

    segment: Path
    offset: int
    end: int
    missing: range
    key: Key | None = None

    def __str__(self) -> str:
        where = f"bytes {self.offset} to {self.end} of {self.segment} are damaged"
        if not self.missing:
            return f"{where}, and no record is lost"
        first, last = self.missing[0], self.missing[-1]
        what = f"record {first} is lost" if first == last else f"records {first} to {last} are lost"
        which = f" (kind {self.key.kind}, sender {self.key.sender}, number {self.key.number})" if self.key else ""
        return f"{where}, and {what}{which}"


@dataclasses.dataclass(frozen=True)
class UnfinishedTail:
    """Bytes at the end of a segment that are no whole record.

    This is normal after a power cut or on a full disk: the record was being written, and nobody relied on it yet.

    Attributes:
        segment: the file.
        offset: the first such byte.
        end: the length of the file.
    """

    segment: Path
    offset: int
    end: int

    def __str__(self) -> str:
        where = f"bytes {self.offset} to {self.end} of {self.segment}"
        return f"{where} are the beginning of a record that was not finished"


@dataclasses.dataclass(frozen=True)
class SegmentHeader:
    """What the first two lines of a segment say.

    Attributes:
        store: the name of the store, such as "journal".
        run_id: the run that the records belong to. It is empty where no run was known yet.
        message_format: the format of the serialized messages.
        first_index: the index of the first record.
    """

    store: str
    run_id: str
    message_format: int
    first_index: int


@dataclasses.dataclass(frozen=True)
class Segment:
    """One file of a store.

    Attributes:
        path: the file.
        first_index: the index of its first record, by its name.
        header: its header, or None where it is damaged.
        num_bytes: its length.
    """

    path: Path
    first_index: int
    header: SegmentHeader | None
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a store holds.

    Attributes:
        segments: the files, in order.
        records: the places of all readable records, in order.
        holes: what is damaged.
        unfinished: what was being written when a process or the machine died.
    """

    segments: tuple[Segment, ...] = ()
    records: tuple[RecordPlace, ...] = ()
    holes: tuple[Hole, ...] = ()
    unfinished: tuple[UnfinishedTail, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether no record can be missing: nothing is damaged, and nothing was being written."""
        return not self.holes and not self.unfinished

    @property
    def next_index(self) -> int:
        """The index of the next record."""
        begun = [segment.first_index for segment in self.segments]
        lost = [hole.missing.stop for hole in self.holes]
        return max([0, *begun, *lost, *(record.index + 1 for record in self.records[-1:])])

    @property
    def num_bytes(self) -> int:
        """The length of all files together, bytes."""
        return sum(segment.num_bytes for segment in self.segments)
