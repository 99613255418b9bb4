"""Finds the records of one segment, also behind damaged bytes, without holding more than one block of it in memory."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from typing import BinaryIO

from chunk_ppo_ros.data.store.contents import Hole, Segment, UnfinishedTail
from chunk_ppo_ros.data.store.records import HEADER_BYTES, MAGIC, RecordHeader, RecordPlace, decode_header, is_beginning
from chunk_ppo_ros.data.store.segment_file import MAX_HEADER, decode_segment_header, first_index_of

_BLOCK = 2**20
_PAGE = 4096  # bytes that are read for the header of a record whose payload is skipped
_LONGEST_HEADER = HEADER_BYTES + 255


@dataclasses.dataclass(frozen=True)
class SegmentContents:
    """What one segment holds.

    Attributes:
        segment: the file.
        records: the places of its readable records.
        holes: what is damaged.
        tail: the beginning of a record after the last one, or None where there is none.
    """

    segment: Segment
    records: list[RecordPlace]
    holes: list[Hole]
    tail: UnfinishedTail | None


def scan(path: Path, *, end_index: int | None, check_payloads: bool = True) -> SegmentContents:
    """Reads a segment.

    Args:
        path: the file.
        end_index: the index at which the next segment begins, or None for the last segment. A record that has this
            index or a later one was never relied on: its writing failed, and it was written again in the next segment.
        check_payloads: whether payloads are read and compared with their checksums. Without it a damaged payload is
            found when it is read.

    Raises:
        OSError: when the file cannot be read.
        UserError: when a later version of this package wrote the file in another format.
    """
    with path.open("rb", buffering=_BLOCK if check_payloads else _PAGE) as file:
        return _Scan(file, path, end_index, check_payloads).run()


class _Scan:
    def __init__(self, file: BinaryIO, path: Path, end_index: int | None, check_payloads: bool) -> None:
        self._file = file
        self._path = path
        self._end_index = end_index
        self._check_payloads = check_payloads
        self._size = path.stat().st_size
        self._next = first_index_of(path)  # the index that the next record must have
        self._known_until = 0  # where the bytes end that are accounted for
        self._records: list[RecordPlace] = []
        self._holes: list[Hole] = []
        self._run_id = ""

    def run(self) -> SegmentContents:
        found = decode_segment_header(self._bytes(0, MAX_HEADER), self._path)
        header, self._known_until = found or (None, 0)
        self._run_id = header.run_id if header else ""
        offset = self._known_until
        while offset < self._size:
            offset = self._step(offset)
        segment = Segment(self._path, first_index_of(self._path), header, self._size)
        tail = self._tail()
        return SegmentContents(segment, self._records, self._holes, tail)

    def _step(self, offset: int) -> int:
        """Looks at one place, and returns the next one to look at."""
        record = self._header_at(offset)
        if record is None:
            return self._next_magic(offset + 1)
        place = RecordPlace(record.index, record.key, self._path, offset, record.length, self._run_id)
        if place.end > self._size:
            return self._size
        missing = range(self._next, record.index)
        if self._known_until < offset or missing:
            self._holes.append(Hole(self._path, self._known_until, offset, missing))
        if self._payload_is_right(place, record.checksum):
            self._records.append(place)
        else:
            self._holes.append(Hole(self._path, offset, place.end, range(record.index, record.index + 1), record.key))
        self._next = record.index + 1
        self._known_until = place.end
        return place.end

    def _tail(self) -> UnfinishedTail | None:
        """Returns what is after the last record, where it is not damage.

        The next segment says how many records there must be. Without one, all bytes that are not the beginning of a
        record are taken for a record that was stored and is damaged, because somebody may rely on it.
        """
        if self._known_until == self._size and self._end_index is None:
            return None
        end_index = self._end_index
        if end_index is None:
            end_index = self._next if self._is_unfinished() else self._next + 1
        if self._next < end_index:
            missing = range(self._next, end_index)
            self._holes.append(Hole(self._path, self._known_until, self._size, missing))
            return None
        return None if self._known_until == self._size else UnfinishedTail(self._path, self._known_until, self._size)

    def _is_unfinished(self) -> bool:
        """Returns whether the bytes after the last record are the beginning of a record, or of the segment.

        So are zeros alone. Some file systems store the length of a file before its content, and a wrong bit does not
        make zeros of a record.
        """
        if self._known_until == 0 and self._size <= MAX_HEADER:
            return True
        return is_beginning(self._bytes(self._known_until, _LONGEST_HEADER)) or self._ends_in_zeros()

    def _ends_in_zeros(self) -> bool:
        offsets = range(self._known_until, self._size, _BLOCK)
        return not any(any(self._bytes(offset, _BLOCK)) for offset in offsets)

    def _header_at(self, offset: int) -> RecordHeader | None:
        """Returns the header of the record at a place, or None where no record stands that may stand there."""
        record = decode_header(self._bytes(offset, _LONGEST_HEADER))
        if record is None or record.index < self._next:
            return None
        if self._end_index is not None and record.index >= self._end_index:
            return None
        return record

    def _payload_is_right(self, place: RecordPlace, checksum: int) -> bool:
        if not self._check_payloads:
            return True
        self._file.seek(place.payload_offset)
        left, found = place.length, 0
        while left > 0:
            block = self._file.read(min(left, _BLOCK))
            if not block:
                return False
            found = zlib.crc32(block, found)
            left -= len(block)
        return found == checksum

    def _next_magic(self, offset: int) -> int:
        """Returns the next place at or after an offset that looks like a record, or the end of the file."""
        while offset < self._size:
            block = self._bytes(offset, _BLOCK)
            found = block.find(MAGIC)
            if found >= 0:
                return offset + found
            if len(block) < _BLOCK:
                return self._size
            offset += len(block) - len(MAGIC) + 1
        return self._size

    def _bytes(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
