"""Reads the segments of stores as docs/store-format.md describes them, without the code of the package.

Segments are removed when nobody needs their messages any more. Therefore a thread keeps a hard link to each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"CPR1"
_FIELDS = struct.Struct("<4sIBBHQQII")
"""Magic, length of the payload, kind, length of the sender, zero, index, number, checksums of payload and header."""
_HEADER_CHECKSUM_AT = _FIELDS.size - 4
SETTLED = 0x80
"""The bit of the kind of a record that says that a message is settled."""


@dataclasses.dataclass(frozen=True)
class StoredRecord:
    """A record of a store.

    Attributes:
        index: the number of the record in its store.
        kind: what kind of message it holds.
        sender: the robot that it belongs to.
        number: the sequence number or the stamp of the message.
        payload: the serialized message.
    """

    index: int
    kind: int
    sender: str
    number: int
    payload: bytes


def records_of(segment: Path) -> Iterator[StoredRecord]:
    """Yields the whole records of a segment. A record that is damaged or cut off is passed over."""
    data = segment.read_bytes()
    place = data.find(_MAGIC)
    while 0 <= place <= len(data) - _FIELDS.size:
        _, length, kind, sender_length, _, index, number, checksum, header_checksum = _FIELDS.unpack_from(data, place)
        begin = place + _FIELDS.size
        sender, end = data[begin : begin + sender_length], begin + sender_length + length
        payload = data[begin + sender_length : end]
        header = data[place : place + _HEADER_CHECKSUM_AT] + sender
        if zlib.crc32(header) == header_checksum and zlib.crc32(payload) == checksum and len(payload) == length:
            yield StoredRecord(index, kind, sender.decode(), number, payload)
            place = data.find(_MAGIC, end)
        else:
            place = data.find(_MAGIC, place + 1)


def records_below(folder: Path) -> list[StoredRecord]:
    """Returns the records of all segments of a store in their order."""
    return [record for segment in sorted(folder.glob("*.log")) for record in records_of(segment)]


class SegmentKeeper:
    """Links each segment of the stores of a run into another folder, so that it stays when the run removes it.

    Args:
        stores: the folder of the stores.
        kept: the folder of the links, on the same file system.
    """

    def __init__(self, stores: Path, kept: Path) -> None:
        self._stores = stores
        self._kept = kept
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Links what is there now, and ends."""
        self._ends.set()
        self._thread.join()
        self._link()

    def _run(self) -> None:
        while not self._ends.wait(_PERIOD):
            self._link()

    def _link(self) -> None:
        for segment in self._stores.glob("*/*.log"):
            link = self._kept / segment.parent.name / segment.name
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # The run has removed it meanwhile.
                    os.link(segment, link)


_PERIOD = 0.2  # s
