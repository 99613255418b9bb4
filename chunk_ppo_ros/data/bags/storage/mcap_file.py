"""Reads the messages of an MCAP file in the order of the file, and single messages again. The file may be cut off."""

from __future__ import annotations

import collections
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import IO

from chunk_ppo_ros.data.bags.storage import mcap_records as records
from chunk_ppo_ros.data.bags.storage.compression import unpack_chunk
from chunk_ppo_ros.data.bags.storage.stored import Channel, DamagedFile, Place, StoredMessage

_Schema = tuple[str, str, bytes]
_LATEST = 2**63 - 1  # ns


class McapFile:
    """Reads one file, as a `BagFile`. Checksums, and what the file says about itself twice, are compared.

    Args:
        source: the opened file, or its unpacked content.
        may_be_cut: whether a file without an end is read as far as its records are whole.
    """

    def __init__(self, source: IO[bytes], *, may_be_cut: bool) -> None:
        """Checks the beginning and the end of the file. The class documents arguments.

        Raises:
            DamagedFile: where the beginning is not that of an MCAP file, or the end is missing and must not be.
        """
        self._file = source
        self._size = source.seek(0, 2)
        source.seek(0)
        if source.read(len(records.MAGIC)) != records.MAGIC:
            raise DamagedFile("an MCAP file must begin with its signature, got other bytes or an empty file")
        source.seek(max(0, self._size - len(records.MAGIC)))
        self._has_end = self._size > 2 * len(records.MAGIC) and source.read() == records.MAGIC
        if not self._has_end and not may_be_cut:
            raise DamagedFile("an MCAP file must end with its signature, got a file that was cut short")
        self.custom: dict[str, str] = {}
        """The texts of the metadata record "rosbag2", once the messages have been yielded."""
        self._schemas: dict[int, _Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._counts: collections.Counter[int] = collections.Counter()
        self._unpacked: tuple[int, bytes] = (-1, b"")
        self.unread_bytes = 0
        """The bytes at the end of a file that was cut off that are no whole record, once all have been yielded."""

    @property
    def is_cut_off(self) -> bool:
        """Whether the file has no end."""
        return not self._has_end

    def channels(self) -> tuple[Channel, ...]:
        """Returns the topics of the file. It reads all of a file that was cut off, otherwise the summary at the end."""
        if not self._channels and self._has_end:
            self._read_summary()
        if not self._channels:
            for _ in self.messages(()):
                pass
        return tuple(self._channels.values())

    def counts(self) -> Mapping[str, int]:
        """Returns the number of messages of each topic, once all messages have been yielded."""
        counts: collections.Counter[str] = collections.Counter()
        for number, count in self._counts.items():
            counts[self._channels[number].topic] += count
        return counts

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yields the messages of some topics in the order of the file.

        Raises:
            DamagedFile: where a record is not whole (unless the file was cut off there), a checksum does not match, or
                the file contradicts itself.
        """
        self._counts.clear()
        indexed: dict[int, list[tuple[int, int]]] = {}
        ended = False
        for kind, start, body in self._records(len(records.MAGIC)):
            if kind == records.CHUNK:
                _check_indices(indexed)
                indexed = collections.defaultdict(list)
                yield from self._chunk_messages(start, body, topics, indexed)
            elif kind == records.MESSAGE_INDEX:
                _check_index(body, indexed)
            elif kind == records.MESSAGE:
                yield from self._message(start, body, topics, Place(-1, start, len(body)))
            elif kind == records.STATISTICS:
                self._check_counts(records.read_counts(body))
            elif kind == records.METADATA:
                self._note_metadata(body)
            elif kind in (records.SCHEMA, records.CHANNEL):
                self._note(kind, body)
            ended = ended or kind == records.FOOTER
        if ended:
            _check_indices(indexed)
        if self._has_end and not ended:
            raise DamagedFile("an MCAP file must end with a footer, got none")

    def read(self, place: Place) -> bytes:
        """Returns the bytes of a message."""
        if place.block < 0:
            self._file.seek(place.start)
            content, start = self._file.read(place.size), 0
        else:
            if self._unpacked[0] != place.block:
                self._file.seek(place.block - records.RECORD_HEAD.size)
                kind, length = records.RECORD_HEAD.unpack(self._file.read(records.RECORD_HEAD.size))
                if kind != records.CHUNK or place.block + length > self._size:
                    raise DamagedFile("the chunk of the message is gone")
                self._unpacked = place.block, _unpack(self._file.read(length))
            content, start = self._unpacked[1], place.start
        body = content[start : start + place.size]
        if len(body) != place.size:
            raise DamagedFile("the message is gone")
        return body[records.MESSAGE_HEAD.size :]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _records(self, at: int) -> Iterator[tuple[int, int, bytes]]:
        """Yields the kind, the position of the body, and the body, of each record from a position to the footer."""
        while at < self._size:
            self._file.seek(at)
            head = self._file.read(records.RECORD_HEAD.size)
            kind, length = records.RECORD_HEAD.unpack(head) if len(head) == records.RECORD_HEAD.size else (0, 0)
            start = at + records.RECORD_HEAD.size
            if not kind or start + length > self._size:
                if self._has_end:
                    raise DamagedFile(f"a record must be whole, got one of kind {kind} and {length} bytes at {at}")
                self.unread_bytes = self._size - at
                return
            yield kind, start, self._file.read(length)
            if kind == records.FOOTER:
                return
            at = start + length

    def _chunk_messages(
        self, block: int, body: bytes, topics: Collection[str], indexed: dict[int, list[tuple[int, int]]]
    ) -> Iterator[StoredMessage]:
        """Yields the messages of a chunk, and notes the time and position of each message by its channel."""
        for kind, start, inner in records.split_records(_unpack(body)):
            if kind == records.MESSAGE:
                number, _, received, _ = records.MESSAGE_HEAD.unpack_from(inner)
                indexed[number].append((received, start - records.RECORD_HEAD.size))
                yield from self._message(start, inner, topics, Place(block, start, len(inner)))
            elif kind in (records.SCHEMA, records.CHANNEL):
                self._note(kind, inner)

    def _message(self, start: int, body: bytes, topics: Collection[str], place: Place) -> Iterator[StoredMessage]:
        number, _, received, _ = records.MESSAGE_HEAD.unpack_from(body)
        if number not in self._channels:
            raise DamagedFile(f"a message must have a channel that was defined, got channel {number} at {start}")
        if received > _LATEST:
            raise DamagedFile(f"the time of a message must be at most {_LATEST} ns, got {received}")
        self._counts[number] += 1
        channel = self._channels[number]
        if channel.topic in topics:
            yield StoredMessage(channel, received, body[records.MESSAGE_HEAD.size :], place)

    def _note(self, kind: int, body: bytes) -> None:
        """Keeps a schema or a channel, which may come several times, but not with another content."""
        known: dict[int, _Schema] | dict[int, Channel]
        number: int
        found: object
        if kind == records.SCHEMA:
            known, (number, found) = self._schemas, records.read_schema(body)
        else:
            known, (number, found) = self._channels, records.read_channel(body, self._schemas)
        if known.setdefault(number, found) != found:  # type: ignore[arg-type]
            raise DamagedFile(f"a schema or channel must have one content, got two of number {number}")

    def _note_metadata(self, body: bytes) -> None:
        fields = records.Fields(body)
        if fields.text() == "rosbag2":
            self.custom.update(fields.texts())

    def _read_summary(self) -> None:
        """Notes the schemas and channels of the summary, if the file has one."""
        footer = self._size - len(records.MAGIC) - 20
        self._file.seek(footer)
        fields = records.Fields(self._file.read(20))
        start, _, checksum = fields.number("Q"), fields.number("Q"), fields.number("I")
        if not start:
            return
        if not len(records.MAGIC) < start < footer:
            raise DamagedFile(f"the summary of an MCAP file must be within it, got one at {start}")
        self._file.seek(start)
        if checksum and zlib.crc32(self._file.read(footer + 16 - start)) != checksum:
            raise DamagedFile("the summary of an MCAP file must have its checksum, got another one")
        for kind, _, body in self._records(start):
            if kind in (records.SCHEMA, records.CHANNEL):
                self._note(kind, body)

    def _check_counts(self, declared: dict[int, int]) -> None:
        found = {number: count for number, count in self._counts.items() if count}
        if found != {number: count for number, count in declared.items() if count}:
            raise DamagedFile(
                f"an MCAP file must have the {sum(declared.values())} messages of its statistics, got "
                f"{sum(found.values())}"
            )


def _unpack(body: bytes) -> bytes:
    """Returns the unpacked bytes of a chunk's record, whose checksum is compared."""
    head = records.read_chunk_head(body)
    unpacked = unpack_chunk(body[head.start :], head.compression, head.size)
    if head.checksum and zlib.crc32(unpacked) != head.checksum:
        raise DamagedFile("a chunk must have its checksum, got another one")
    return unpacked


def _check_index(body: bytes, indexed: dict[int, list[tuple[int, int]]]) -> None:
    """Compares an index with the messages of the chunk before it, and takes the channel off."""
    number, entries = records.read_message_index(body)
    found = indexed.pop(number, [])
    if sorted(entries) != sorted(found):
        raise DamagedFile(
            f"a chunk must have the messages of its index, got {len(found)} of channel {number}, not {len(entries)}, "
            "or others"
        )
    indexed[-1] = []  # Says that the chunk has an index.


def _check_indices(indexed: dict[int, list[tuple[int, int]]]) -> None:
    """Refuses a chunk that has an index, but not of all its channels."""
    if -1 in indexed and len(indexed) > 1:
        raise DamagedFile(f"a chunk must have an index of each channel, got none of channel {max(indexed)}")
