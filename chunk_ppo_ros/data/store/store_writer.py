"""Appends records to segments, and says that they are stored only when they survive a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.files.durable_folders import sync_folder
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.store.contents import SegmentHeader
from chunk_ppo_ros.data.store.records import Entry, RecordPlace, encode
from chunk_ppo_ros.data.store.segment_file import UNFINISHED, encode_segment_header, segment_path

_MAX_PARTS = 512  # writev takes at most 1024 parts


class StoreWriter:
    """Appends to the newest segment of a store, and begins a new segment where one is due.

    It never appends to a segment of an earlier process. After an error of the disk it never uses that file again,
    because the kernel may have dropped what it could not write and then report success.

    Args:
        folder: the folder of the store, which exists.
        name: the name of the store, for the headers of segments.
        next_index: the index of the next record.
        segment_bytes: the length from which on a new segment is begun, bytes.
    """

    def __init__(self, folder: Path, *, name: str, next_index: int, segment_bytes: int) -> None:
        self._folder = folder
        self._name = name
        self._segment_bytes = segment_bytes
        self._segment: _OpenSegment | None = None
        self._next_index = next_index  # of the next record; those before it are written
        self._synced_index = next_index  # of the first record that may not survive a power cut
        self._run_id = ""

    @property
    def durable_index(self) -> int:
        """The index of the first record that may not survive a power cut."""
        return self._synced_index

    def begin_run(self, run_id: str) -> None:
        """Names the run that the next records belong to. They go into a new segment where it is another run.

        Raises:
            OSError: when the segment of the last run cannot be synced.
        """
        if run_id != self._run_id:
            self.close()
            self._run_id = run_id

    def append(self, entries: Sequence[Entry], *, sync: bool = True) -> list[RecordPlace]:
        """Appends records in one write, and returns their places.

        Args:
            entries: what to append.
            sync: whether to return only when the records survive a power cut. Records that are not synced become so
                with the next ones that are.

        Raises:
            OSError: when the records are not stored, for example because the disk is full. None of them is read later,
                and the next call begins a new segment.
            ValueError: when an entry does not fit the format. Nothing is written then.
        """
        encoded = [encode(self._next_index + number, entry) for number, entry in enumerate(entries)]
        try:
            segment = self._open_segment()
            places = _places(self._next_index, entries, encoded, segment, self._run_id)
            segment.write([part for parts in encoded for part in parts])
            self._next_index += len(entries)
            if sync:
                segment.sync()
                self._synced_index = self._next_index
        except BaseException:  # After any error it is not known what the file holds.
            self._give_up()
            raise
        return places

    def close(self) -> None:
        """Syncs what is written, and closes the segment.

        Raises:
            OSError: when it cannot be synced.
        """
        if self._segment is None:
            return
        try:
            self._segment.sync()
        except OSError:
            self._give_up()
            raise
        self._synced_index = self._next_index
        self._segment.close()
        self._segment = None

    def _open_segment(self) -> _OpenSegment:
        if self._segment is not None and self._segment.length >= self._segment_bytes:
            self.close()
        if self._segment is None:
            header = SegmentHeader(self._name, self._run_id, FORMAT, self._next_index)
            path = segment_path(self._folder, self._next_index)
            if path.exists():  # Its writer died before the first record, or the disk did not let it be taken back.
                path.replace(path.with_suffix(UNFINISHED))
            self._segment = _OpenSegment(path)
            self._segment.write([encode_segment_header(header)])
        return self._segment

    def _give_up(self) -> None:
        """Drops the segment after an error, with what was not synced."""
        self._next_index = self._synced_index
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.give_up()


class _OpenSegment:
    """A file that is appended to. It is created, and must not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        self._synced_length = 0  # 0 until the name of the file is synced, too
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    def write(self, parts: Sequence[bytes]) -> None:
        """Writes all parts. A full disk may take only some of the bytes without an error, so the count is checked."""
        for begin in range(0, len(parts), _MAX_PARTS):
            some = parts[begin : begin + _MAX_PARTS]
            total = sum(map(len, some))
            written = os.writev(self._descriptor, some)
            if written < total:
                rest = memoryview(b"".join(some))[written:]
                while len(rest):
                    rest = rest[os.write(self._descriptor, rest) :]
            self.length += total

    def sync(self) -> None:
        """Returns when everything that was written survives a power cut."""
        if self.length == self._synced_length:
            return
        os.fdatasync(self._descriptor)
        if self._synced_length == 0:
            sync_folder(self.path.parent)
        self._synced_length = self.length

    def close(self) -> None:
        os.close(self._descriptor)

    def give_up(self) -> None:
        """Takes back what was not synced as far as the disk lets it, and closes the file. Nothing is synced again.

        What cannot be taken back is recognized by readers, because the next segment begins with the same index.
        """
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._synced_length)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        if self._synced_length == 0:
            with contextlib.suppress(OSError):
                self.path.unlink()


def _places(
    first_index: int, entries: Sequence[Entry], encoded: Sequence[list[bytes]], segment: _OpenSegment, run_id: str
) -> list[RecordPlace]:
    """Returns where records will stand when they are appended to a segment."""
    places, offset = [], segment.length
    for number, (entry, parts) in enumerate(zip(entries, encoded, strict=True)):
        index = first_index + number
        places.append(RecordPlace(index, entry.key, segment.path, offset, len(entry.payload), run_id))
        offset += sum(map(len, parts))
    return places
