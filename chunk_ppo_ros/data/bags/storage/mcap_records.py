"""Reads the records that MCAP files consist of, one after the other, without their index.

A file that was cut off has no index. The format is described at mcap.dev/spec. This module decodes records;
`mcap_file.py` reads messages.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator

from chunk_ppo_ros.data.bags.storage.stored import Channel, DamagedFile

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MESSAGE_INDEX, STATISTICS, METADATA, DATA_END = 0x07, 0x0B, 0x0C, 0x0F
RECORD_HEAD = struct.Struct("<BQ")
"""A record's kind, and the number of bytes that follow."""
MESSAGE_HEAD = struct.Struct("<HIQQ")
"""A message's channel, its number, and the times when it was recorded and published, ns."""
_CHUNK_HEAD = struct.Struct("<QQQI")


@dataclasses.dataclass(frozen=True)
class ChunkHead:
    """Describes a chunk: its unpacked size, its checksum (0 for none), its compression, and where its bytes begin."""

    size: int
    checksum: int
    compression: str
    start: int


class Fields:
    """Reads the fields of a record's body one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    def number(self, layout: str) -> int:
        """Returns a number of a layout of `struct`, little-endian."""
        (value,) = struct.unpack_from(f"<{layout}", self._body, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return int(value)

    def block(self) -> bytes:
        """Returns bytes with their length before them."""
        length = self.number("I")
        if self.at + length > len(self._body):
            raise DamagedFile(f"a field must be within its record, got {length} bytes")
        self.at += length
        return self._body[self.at - length : self.at]

    def text(self) -> str:
        """Returns text with its length before it."""
        return self.block().decode()

    def texts(self) -> dict[str, str]:
        """Returns pairs of texts."""
        pairs = Fields(self.block())
        found: dict[str, str] = {}
        while pairs.at < len(pairs._body):
            key = pairs.text()
            found[key] = pairs.text()
        return found


def split_records(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yields the kind, the position of the body, and the body, of each record in the unpacked bytes of a chunk.

    Raises:
        DamagedFile: where a record is not whole.
    """
    at = 0
    while at < len(content):
        kind, length = RECORD_HEAD.unpack_from(content, at)
        at += RECORD_HEAD.size
        if at + length > len(content):
            raise DamagedFile(f"a record must end within its chunk, got {length} bytes at {at} of {len(content)}")
        yield kind, at, content[at : at + length]
        at += length


def read_chunk_head(body: bytes) -> ChunkHead:
    """Returns the head of a chunk. Its packed bytes are the rest of the body.

    Raises:
        DamagedFile: where the packed bytes do not end with the record.
    """
    _, _, size, checksum = _CHUNK_HEAD.unpack_from(body)
    fields = Fields(body)
    fields.at = _CHUNK_HEAD.size
    compression, packed = fields.text(), fields.number("Q")
    if fields.at + packed != len(body):
        raise DamagedFile(f"a chunk must have the {packed} bytes that it declares, got {len(body) - fields.at}")
    return ChunkHead(size, checksum, compression, fields.at)


def read_schema(body: bytes) -> tuple[int, tuple[str, str, bytes]]:
    """Returns the number of a schema, and its name, encoding and definition."""
    fields = Fields(body)
    return fields.number("H"), (fields.text(), fields.text(), fields.block())


def read_channel(body: bytes, schemas: dict[int, tuple[str, str, bytes]]) -> tuple[int, Channel]:
    """Returns the number of a channel, and the channel."""
    fields = Fields(body)
    number, schema = fields.number("H"), fields.number("H")
    topic, encoding, more = fields.text(), fields.text(), fields.texts()
    name, definition_format, definition = schemas.get(schema, ("", "", b""))
    # Definitions of formats that nobody reads need not be text.
    text = definition.decode(errors="replace")
    digest, offered = more.get("topic_type_hash", ""), more.get("offered_qos_profiles", "")
    return number, Channel(topic, name, encoding, text, definition_format, digest, offered)


def read_message_index(body: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Returns a channel's number, and the time of recording, ns, and position of each of its messages in a chunk."""
    fields = Fields(body)
    number, entries = fields.number("H"), fields.block()
    return number, list(struct.iter_unpack("<QQ", entries))


def read_counts(body: bytes) -> dict[int, int]:
    """Returns the number of messages of each channel, from the statistics of a file."""
    fields = Fields(body)
    fields.at = struct.calcsize("<QHIIIIQQ")
    return dict(struct.iter_unpack("<HQ", fields.block()))
