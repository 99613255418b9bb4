"""Writes the whole messages of a bag that was cut off anew, with an index and `metadata.yaml`.

A recorder that is killed leaves an MCAP file without its end. The readers of this package read it as it is; rosbag2 and
other tools do not.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
from typing import Any

from rosbags.rosbag2 import CompressionFormat, CompressionMode, ReaderError, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import Bags, opened
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA, describe_bag, find_bags
from chunk_ppo_ros.data.bags.storage.bag_types import types_of
from chunk_ppo_ros.data.bags.storage.errors import guarded
from chunk_ppo_ros.data.bags.storage.stored import Channel

_NEW = ".salvaged"
_ENDING = ".mcap"


@dataclasses.dataclass(frozen=True)
class Salvaged:
    """Says what became of a part. `str` gives one line for people.

    Attributes:
        part: the folder of the part.
        num_messages: the number of its messages.
        num_lost_bytes: the bytes at the end of its file that were no whole record.
    """

    part: pathlib.Path
    num_messages: int
    num_lost_bytes: int

    def __str__(self) -> str:
        if not self.num_messages:
            return f"{self.part} was cut off before its first message and is removed"
        return (
            f"{self.part} was cut off and is whole again: {self.num_messages} messages; {self.num_lost_bytes} bytes at "
            "its end were no whole record"
        )


def cut_off_parts(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the bags in a folder, or the bag itself, that have no `metadata.yaml`."""
    return [bag for bag in find_bags(folder) if bag.is_dir() and not (bag / METADATA).is_file()]


def salvage_part(part: pathlib.Path) -> Salvaged:
    """Writes the messages of a bag anew, in the place of its file. It keeps the file where something fails.

    A bag without any message is removed.

    Args:
        part: the folder of the bag, which nobody writes.

    Raises:
        EpisodesError: where it is no bag of one MCAP file, or its file is damaged before its end.
        OSError: where a file cannot be written.
    """
    with guarded(part):
        files = describe_bag(part).files
    if len(files) != 1 or files[0].suffix != _ENDING:
        names = ", ".join(file.name for file in files) or "none"
        raise EpisodesError(f"{part} must have one {_ENDING} file to be salvaged, got {names}; use ros2 bag reindex")
    place = part.parent / _NEW
    shutil.rmtree(place, ignore_errors=True)
    new = place / files[0].stem
    try:
        with opened([part]) as bags:
            num_messages = _write(bags, new)
            lost = bags.num_unread_bytes()
        if num_messages:
            _replace(part, new)
        else:
            shutil.rmtree(part)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Salvaged(part, num_messages, lost)


def _write(bags: Bags, new: pathlib.Path) -> int:
    """Writes all messages into a new bag, and returns their number."""
    writer = Writer(new, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    num_messages = 0
    with writer:
        for channel in bags.channels:
            if channel.topic not in connections:
                connections[channel.topic] = _connect(writer, channel)
        for message in bags.messages(tuple(connections)):
            writer.write(connections[message.topic], message.received, message.data)
            num_messages += 1
    return num_messages


def _connect(writer: Writer, channel: Channel) -> Any:
    with guarded(writer.path):
        try:
            offered = parse_qos(channel.offered)
        except (ReaderError, LookupError, TypeError):
            offered = []  # The messages count for more than how they were offered.
        types = types_of(channel)
    return writer.add_connection(channel.topic, channel.type_name, typestore=types, offered_qos_profiles=offered)


def _replace(part: pathlib.Path, new: pathlib.Path) -> None:
    """Puts the files of a new bag in the place of those of a part. The file of messages comes first."""
    for name in (f"{new.name}{_ENDING}", METADATA):
        with (new / name).open("rb") as file:
            os.fsync(file.fileno())
        (new / name).replace(part / name)
