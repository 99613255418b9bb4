"""Keeps records on disk so that what was stored is there after the death of a process and after a power cut."""

from __future__ import annotations

import itertools
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.core.files.durable_folders import sync_folder
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.store.contents import Contents, Segment
from chunk_ppo_ros.data.store.lock import FolderLock
from chunk_ppo_ros.data.store.records import INVALID, Entry, RecordPlace, decode_header
from chunk_ppo_ros.data.store.segment_file import UNFINISHED, first_index_of, list_segments
from chunk_ppo_ros.data.store.segment_reader import scan
from chunk_ppo_ros.data.store.store_writer import StoreWriter

SEGMENT_BYTES = 64 * 2**20
"""The length from which on a new segment is begun, bytes."""


class DamagedRecord(UserError):
    """A record was readable before, and is not any more."""


def read_store(folder: Path, *, check_payloads: bool = True, on_file: Callable[[], object] = lambda: None) -> Contents:
    """Returns what a store holds, without payloads and without locking it.

    A record that another process is just writing is an unfinished tail.

    Args:
        folder: the folder of the store. A folder that is missing holds nothing.
        check_payloads: whether payloads are read and compared with their checksums. Those of the newest segment are in
            any case.
        on_file: is called after each file.

    Raises:
        OSError: when a file cannot be read.
        UserError: when a later version of this package wrote a file in another format.
    """
    paths = list_segments(folder)
    ends: list[int | None] = [*map(first_index_of, paths[1:]), None]
    found = []
    for path, end in zip(paths, ends, strict=False):
        found.append(scan(path, end_index=end, check_payloads=check_payloads or end is None))
        on_file()
    return Contents(
        segments=tuple(each.segment for each in found),
        records=tuple(place for each in found for place in each.records),
        holes=tuple(hole for each in found for hole in each.holes),
        unfinished=tuple(each.tail for each in found if each.tail is not None),
    )


def read_payload(place: RecordPlace) -> bytes:
    """Returns the payload of a record, whose checksums are compared again.

    Raises:
        OSError: when the file cannot be read.
        DamagedRecord: when the bytes were changed.
    """
    with place.segment.open("rb") as file:
        file.seek(place.offset)
        data = file.read(place.end - place.offset)
    header = decode_header(data)
    payload = data[place.payload_offset - place.offset :]
    if header is None or header.key != place.key or header.checksum != zlib.crc32(payload):
        raise DamagedRecord(
            f"bytes {place.offset} to {place.end} of {place.segment} must be the record that was stored there, but "
            "they were changed; look at the disk, and run the command `store verify`"
        )
    return payload


class Store:
    """A folder of segments that one process writes.

    All methods may be called from any thread.

    Args:
        folder: the folder of the store. It is made by `open` if it is missing.
        name: the name of the store, for the headers of segments and for messages.
        run_id: the run that the next records belong to. `begin_run` names another one.
        segment_bytes: the length from which on a new segment is begun, bytes.
    """

    def __init__(self, folder: Path, *, name: str, run_id: str = "", segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.name = name
        self._run_id = run_id
        self._segment_bytes = segment_bytes
        self._lock: FolderLock | None = None
        self._appending = threading.Lock()
        self._writer: StoreWriter | None = None

    def open(self, *, check_payloads: bool = True) -> Contents:
        """Locks the folder and returns what it holds, all of which survives a power cut from then on.

        Args:
            check_payloads: whether payloads are read and compared with their checksums. Without it a damaged payload
                is found when it is read. A payload that a power cut has left half written is found in any case.

        Raises:
            StoreLocked: when another process writes the store.
            DiskError: when the folder cannot be made, read or synced. It is a UserError and an OSError.
            UserError: when a segment has messages of another format.
        """
        with usable(self.folder, "a folder that can be read and written"):
            return self._open(check_payloads=check_payloads)

    def _open(self, *, check_payloads: bool) -> Contents:
        self._lock = FolderLock(self.folder)
        try:
            self._sync_newest()
            contents = read_store(self.folder, check_payloads=check_payloads)
            self._check_formats(contents.segments)
            self._invalidate(contents)
        except BaseException:  # After Ctrl-C too the store must be free for the next try.
            self._lock.release()
            self._lock = None
            raise
        self._writer = StoreWriter(
            self.folder, name=self.name, next_index=contents.next_index, segment_bytes=self._segment_bytes
        )
        self._writer.begin_run(self._run_id)
        return contents

    def begin_run(self, run_id: str) -> None:
        """Names the run that the next records belong to.

        Raises:
            OSError: when the segment of the last run cannot be synced.
        """
        with self._appending:
            self._run_id = run_id
            self._opened().begin_run(run_id)

    def append(self, entries: Sequence[Entry], *, sync: bool = True) -> list[RecordPlace]:
        """Appends records, and returns their places when the records survive a power cut.

        Args:
            entries: what to append.
            sync: False returns before that. Such records become durable with the next ones that are synced.

        Raises:
            OSError: when they are not stored, for example because the disk is full. None of them is read later.
        """
        with self._appending:
            return self._opened().append(entries, sync=sync)

    def read(self, place: RecordPlace) -> bytes:
        """Returns the payload of a record, whose checksums are compared again.

        Raises:
            OSError: when the file cannot be read.
            DamagedRecord: when the bytes were changed.
        """
        return read_payload(place)

    def remove_segments(self, before_index: int) -> list[Path]:
        """Removes the oldest segments, as far as all of their records have a lower index, and returns their paths.

        Raises:
            OSError: when a file cannot be removed.
        """
        before = min(before_index, self._opened().durable_index - 1)
        paths = list_segments(self.folder)
        removed = [path for path, following in itertools.pairwise(paths) if first_index_of(following) <= before]
        for path in removed:
            path.unlink()
            path.with_suffix(UNFINISHED).unlink(missing_ok=True)
            sync_folder(self.folder)  # so that no later segment is lost while an earlier one stays
        return removed

    @property
    def num_bytes(self) -> int:
        """The length of all segments together, bytes."""
        return sum(path.stat().st_size for path in list_segments(self.folder))

    def close(self) -> None:
        """Syncs what is written, and frees the folder. A store that is not open stays so.

        Raises:
            OSError: when it cannot be synced.
        """
        with self._appending:
            writer, lock = self._writer, self._lock
            self._writer = self._lock = None
            try:
                if writer is not None:
                    writer.close()
            finally:
                if lock is not None:
                    lock.release()

    def _opened(self) -> StoreWriter:
        if self._writer is None:
            raise RuntimeError(f"the store {self.folder} must be opened before it is used")
        return self._writer

    def _sync_newest(self) -> None:
        """Syncs what the last process wrote and may not have synced before it died.

        Otherwise this process would rely on records that are in the memory of the machine only. All earlier segments
        were synced before a later one was begun.
        """
        for path in list_segments(self.folder)[-1:]:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                # After an error of the disk, memory may hold bytes that are not on it. They are read from it anew.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        sync_folder(self.folder)

    def _check_formats(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            found = segment.header.message_format if segment.header else FORMAT
            if found != FORMAT:
                raise UserError(
                    f"a stored message must have format {FORMAT}, got {found} in {segment.path}; "
                    f"go on with the version of chunk_ppo_ros that wrote it until the run ends, or move {self.folder} "
                    "away and have its chunks sampled again"
                )

    def _invalidate(self, contents: Contents) -> None:
        """Changes the magic of records of the newest segment whose payloads are damaged.

        A power cut may leave a record whose header is whole and whose payload is not, before records that are whole.
        Nobody relied on it. It must not be taken for one that is stored by a later process that reads only headers.
        """
        newest = contents.segments[-1].path if contents.segments else None
        damaged = [hole for hole in contents.holes if hole.segment == newest and hole.key is not None]
        if newest is None or not damaged:
            return
        with newest.open("r+b", buffering=0) as file:
            for hole in damaged:
                file.seek(hole.offset)
                file.write(INVALID)
            os.fdatasync(file.fileno())
