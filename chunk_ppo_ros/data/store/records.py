"""Defines what a store holds, and how a record looks as bytes. docs/store-format.md describes the format."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from pathlib import Path

MAGIC = b"CPR1"
"""The first bytes of each record. A reader searches for them after a damaged record."""
INVALID = b"CPRx"
"""The first bytes of a record whose payload was found to be half written. No reader takes it for a record."""

_FIELDS = struct.Struct("<4sIBBHQQI")
"""Magic, length of the payload, kind, length of the sender, zero, index, number, and checksum of the payload."""

_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size
MAX_PAYLOAD = 2**30
"""The largest payload, bytes. A larger length in a record is damage."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """Says which message a record holds.

    Attributes:
        kind: what kind of message it is, 0 to 127. Each store defines its own kinds.
        sender: the name of the robot that the message belongs to.
        number: the sequence number or the stamp of the message.
    """

    kind: int
    sender: str
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """Something to append.

    Attributes:
        kind: what kind of message it is, 0 to 255.
        sender: the name of the robot that the message belongs to, at most 255 bytes.
        number: the sequence number or the stamp of the message, >= 0.
        payload: the content, usually a serialized message, at most 1 GiB.

    Raises:
        ValueError: when the entry does not fit the format.
    """

    kind: int
    sender: str
    number: int
    payload: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.kind <= 255 or not 0 <= self.number < 2**64:
            raise ValueError(
                f"an entry must have a kind of 0 to 255 and a number of 0 to 2**64 - 1, got {self.kind} and "
                f"{self.number}; number messages from 0 on"
            )
        if len(self.sender.encode()) > 255 or len(self.payload) > MAX_PAYLOAD:
            raise ValueError(
                f"an entry must have a sender of at most 255 bytes and a payload of at most {MAX_PAYLOAD} bytes, got "
                f"{self.sender!r} and {len(self.payload)} bytes; store less at once"
            )

    @property
    def key(self) -> Key:
        """The identity of the message."""
        return Key(self.kind, self.sender, self.number)


@dataclasses.dataclass(frozen=True, slots=True)
class RecordPlace:
    """Says where a record is and what it is about, without its payload.

    Attributes:
        index: the number of the record in its store. It counts all records from 0 on, through all restarts.
        key: the identity of the message.
        segment: the file.
        offset: where the record begins in the file, bytes.
        length: the length of the payload, bytes.
        run_id: the run that the segment was written for; empty where no run was known, or its header is damaged.
    """

    index: int
    key: Key
    segment: Path
    offset: int
    length: int
    run_id: str

    def may_be_of(self, run_id: str) -> bool:
        """Returns whether the record is of a run, as far as its segment says it."""
        return self.run_id in ("", run_id)

    @property
    def payload_offset(self) -> int:
        """Where the payload begins in the file, bytes."""
        return self.offset + HEADER_BYTES + len(self.key.sender.encode())

    @property
    def end(self) -> int:
        """Where the record ends in the file, bytes."""
        return self.payload_offset + self.length


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A record with its payload."""

    place: RecordPlace
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class RecordHeader:
    """The header of a record, whose checksum was right.

    Attributes:
        index: the number of the record in its store.
        key: the identity of the message.
        length: the length of the payload, bytes.
        checksum: the CRC-32 of the payload.
    """

    index: int
    key: Key
    length: int
    checksum: int


def encode(index: int, entry: Entry) -> list[bytes]:
    """Returns the bytes of a record in parts, so that a large payload is not copied."""
    sender = entry.sender.encode()
    checksum = zlib.crc32(entry.payload)
    fields = _FIELDS.pack(MAGIC, len(entry.payload), entry.kind, len(sender), 0, index, entry.number, checksum)
    return [fields + _CHECKSUM.pack(zlib.crc32(sender, zlib.crc32(fields))) + sender, entry.payload]


def decode_header(data: bytes) -> RecordHeader | None:
    """Returns the header of a record, or None where the bytes are no header or its checksum is wrong.

    Args:
        data: the bytes from the beginning of the record on, at least `HEADER_BYTES` and those of the sender.
    """
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    _, length, kind, sender_length, zero, index, number, checksum = _FIELDS.unpack_from(data)
    sender = data[HEADER_BYTES : HEADER_BYTES + sender_length]
    (expected,) = _CHECKSUM.unpack_from(data, _FIELDS.size)
    if zlib.crc32(sender, zlib.crc32(data[: _FIELDS.size])) != expected or len(sender) != sender_length:
        return None
    if zero != 0 or length > MAX_PAYLOAD:
        return None
    return RecordHeader(index, Key(kind, sender.decode(), number), length, checksum)


def is_beginning(data: bytes) -> bool:
    """Returns whether the bytes at the end of a file are the beginning of a record whose rest was never written.

    A whole record with a wrong bit is none, because its header then has a wrong checksum.

    Args:
        data: the bytes from the last readable record to the end of the file, or at least the longest header of them.
    """
    if len(data) < HEADER_BYTES or decode_header(data) is not None:
        return True
    _, length, _, sender_length, _, _, _, _ = _FIELDS.unpack_from(data)
    if not data.startswith(MAGIC) or len(data) >= HEADER_BYTES + sender_length:
        return False
    # The file ends within the sender, unless the length of the sender is the wrong field of a whole record.
    written = len(data) - HEADER_BYTES - length
    corrected = data[:9] + bytes([written]) + data[10:] if written >= 0 else b""
    return decode_header(corrected) is None
