"""Defines what files of bags hold, for both kinds of storage."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol


class DamagedFile(ValueError):
    """A file of a bag is not whole, or contradicts itself. The text says what must be and what was found."""


@dataclasses.dataclass(frozen=True)
class Channel:
    """Describes the messages of one topic in one file.

    Attributes:
        topic: the topic with its namespace.
        type_name: the type, such as "sensor_msgs/msg/Image".
        encoding: how messages are serialized; "cdr" for ROS 2.
        definition: the definition of the type as text; empty where the file has none.
        definition_format: "ros2msg" or "ros2idl", or what else the file says; empty where it has no definition.
        digest: the hash of the type's definition, such as "RIHS01_..."; empty where it is unknown.
        offered: the QoS profiles that its publishers offered, as YAML; empty where the file does not say them.
    """

    topic: str
    type_name: str
    encoding: str = "cdr"
    definition: str = ""
    definition_format: str = ""
    digest: str = ""
    offered: str = ""


@dataclasses.dataclass(frozen=True)
class Place:
    """Says where a message is in its file.

    Attributes:
        block: the position of the MCAP chunk in the file, bytes; -1 where the message is in no chunk.
        start: the position of the message's bytes in the unpacked chunk or in the file, or the row of SQLite.
        size: the number of its bytes.
    """

    block: int
    start: int
    size: int


@dataclasses.dataclass(frozen=True)
class StoredMessage:
    """Holds a serialized message.

    Attributes:
        channel: its topic and type.
        received: the time when it was recorded, ns.
        data: its bytes.
        place: where it is in its file.
    """

    channel: Channel
    received: int
    data: bytes
    place: Place


class BagFile(Protocol):
    """Reads one file of a bag. All methods raise `DamagedFile`, or errors of `storage.errors.ERRORS`."""

    @property
    def is_cut_off(self) -> bool:
        """Whether the recorder did not end the file."""

    def channels(self) -> tuple[Channel, ...]:
        """Returns the topics of the file."""

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yields the messages of some topics in the order of the file."""

    def counts(self) -> Mapping[str, int]:
        """Returns the number of messages of each topic, once all messages have been yielded."""

    def read(self, place: Place) -> bytes:
        """Returns the bytes of a message."""

    def close(self) -> None:
        """Closes the file."""
