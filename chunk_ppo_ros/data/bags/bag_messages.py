"""Reads the messages of bags for all readers of recorded bags. Only topics that a reader names are decoded.

rosbags defines types and decodes messages. Files are read by `storage/`, because rosbags reads no file that was cut off
and refuses a whole bag for one topic that it does not understand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA, BagFolder, describe_bag
from chunk_ppo_ros.data.bags.storage.bag_types import types_of
from chunk_ppo_ros.data.bags.storage.compression import unpack_message
from chunk_ppo_ros.data.bags.storage.declared import check_counts, custom_data_in, with_declared_hash
from chunk_ppo_ros.data.bags.storage.errors import guarded
from chunk_ppo_ros.data.bags.storage.mcap_file import McapFile
from chunk_ppo_ros.data.bags.storage.opening import cut_off_text, open_file
from chunk_ppo_ros.data.bags.storage.stored import BagFile, Channel, DamagedFile, Place

_HEADER_SIZE = 12  # bytes, up to the end of the stamp of a serialized message


@dataclasses.dataclass(frozen=True)
class MessagePlace:
    """Says where a message is: in which bag and which of its files, each by its number, and where in the file."""

    bag: int
    file: int
    place: Place


@dataclasses.dataclass(frozen=True)
class BagMessage:
    """Holds a serialized message of a bag.

    Attributes:
        channel: its topic and type.
        received: the time when it was recorded, ns.
        data: its bytes.
        place: where it is.
        file: its file, for error texts.
    """

    channel: Channel
    received: int
    data: bytes
    place: MessagePlace
    file: pathlib.Path

    @property
    def topic(self) -> str:
        """The topic with its namespace."""
        return self.channel.topic

    def stamp(self) -> int:
        """Returns the stamp of the message's header, ns.

        Raises:
            EpisodesError: where the message has no whole header.
        """
        with guarded(self.file):
            if len(self.data) < _HEADER_SIZE:
                raise DamagedFile(f"a message of {self.topic} must have a header, got {len(self.data)} bytes")
            return stamp_of(self.data)

    def decode(self) -> Any:
        """Returns the message, whose Python type is known only at run time.

        Raises:
            EpisodesError: where the message or the definition of its type is damaged.
        """
        with guarded(self.file):
            return _decode(self.channel, self.data)


def ends_with(topic: str, name: str) -> bool:
    """Returns whether a topic has the relative name `name`, in any namespace."""
    return f"/{topic}".endswith(f"/{name}")


def topics_of(bag: pathlib.Path) -> tuple[str, ...]:
    """Returns the topics of a bag. It reads no messages, except of a bag that was cut off.

    Raises:
        EpisodesError: where the bag cannot be read.
    """
    with guarded(bag):
        folder = describe_bag(bag)
    if folder.has_metadata:
        return tuple(folder.counts)
    with opened([bag]) as bags:
        return tuple(channel.topic for channel in bags.channels)


def first_topics(bags: Sequence[pathlib.Path], names: Collection[str]) -> tuple[str, ...]:
    """Returns the topics of the first readable bag that has one of some relative names; none where no bag has."""
    for bag in bags:
        try:
            topics = topics_of(bag)
        except EpisodesError:  # Reading the bag says what is wrong, unless it is left out by name.
            continue
        if any(ends_with(topic, name) for topic in topics for name in names):
            return topics
    return ()


class Bags:
    """Holds open bags, in order.

    Attributes:
        folders: what each bag consists of.
        channels: the topics of all files, each with the definition of its type. A topic comes once for each file.
        channels_by_bag: the same, each with its bag.
    """

    def __init__(self, paths: Sequence[pathlib.Path]) -> None:
        """Opens the bags.

        Args:
            paths: the bags, as `find_bags` returns them.

        Raises:
            EpisodesError: where a bag cannot be opened.
        """
        self._stack = contextlib.ExitStack()
        self._files: list[list[BagFile]] = []
        folders: list[BagFolder] = []
        channels: list[tuple[BagFolder, Channel]] = []
        try:
            for path in paths:
                with guarded(path):
                    folders.append(describe_bag(path))
                self._files.append(self._open_files(folders[-1]))
                for file, source in zip(self._files[-1], folders[-1].files, strict=True):
                    with guarded(source):
                        channels += [(folders[-1], with_declared_hash(each, folders[-1])) for each in file.channels()]
        except EpisodesError:
            self.close()
            raise
        self.folders = tuple(folders)
        self.channels = tuple(channel for _, channel in channels)
        self.channels_by_bag = tuple(channels)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yields the messages of some topics, bag by bag in the order in which they were written.

        Raises:
            EpisodesError: where a file is damaged, or has other messages than `metadata.yaml` says.
        """
        for number, folder in enumerate(self.folders):
            counts: dict[str, int] = {}
            for index, (file, source) in enumerate(zip(self._files[number], folder.files, strict=True)):
                with guarded(source):
                    for each in file.messages(topics):
                        data = unpack_message(each.data)
                        channel = with_declared_hash(each.channel, folder)
                        yield BagMessage(channel, each.received, data, MessagePlace(number, index, each.place), source)
                    for topic, count in file.counts().items():
                        counts[topic] = counts.get(topic, 0) + count
            check_counts(folder, counts)

    def read(self, channel: Channel, place: MessagePlace, *, stamp: int) -> Any:
        """Returns one message, decoded.

        Raises:
            EpisodesError: where the message is gone, or another one with another stamp is in its place.
        """
        folder = self.folders[place.bag]
        with guarded(folder.files[place.file], advice="copy it again"):
            data = unpack_message(self._files[place.bag][place.file].read(place.place))
            if stamp_of(data) != stamp:
                raise DamagedFile(f"the message of {channel.topic} with the stamp {stamp} ns is gone")
            return _decode(channel, data)

    def raw(self, place: MessagePlace) -> bytes:
        """Returns one message as it was serialized.

        Raises:
            EpisodesError: where the message is gone.
        """
        with guarded(self.folders[place.bag].files[place.file], advice="copy it again"):
            return unpack_message(self._files[place.bag][place.file].read(place.place))

    def custom_data(self, bag: int) -> dict[str, str]:
        """Returns the custom data that were given to a recording, or an empty dict where there are none.

        A bag that was cut off has them in its MCAP file, if its version of rosbag2 writes them at the beginning. Then
        they are known once all messages have been read.
        """
        custom = dict(self.folders[bag].custom)
        for file in self._files[bag]:
            if isinstance(file, McapFile) and not self.folders[bag].has_metadata:
                custom |= custom_data_in(file.custom.get("serialized_metadata", ""))
        return {str(name): value for name, value in custom.items()}

    def cut_off_files(self) -> list[str]:
        """Returns a sentence for each file that the recorder did not end, once all messages have been read."""
        sentences = []
        for folder, files in zip(self.folders, self._files, strict=True):
            for file, source in zip(files, folder.files, strict=True):
                if file.is_cut_off:
                    sentences.append(cut_off_text(file, source))
            if not folder.has_metadata and not any(file.is_cut_off for file in files) and folder.path.is_dir():
                sentences.append(f"{folder.path.name} has no {METADATA}; all messages of its files are used")
        return sentences

    def num_unread_bytes(self) -> int:
        """Returns the bytes at the ends of MCAP files that are no whole record, once all messages have been read."""
        return sum(file.unread_bytes for files in self._files for file in files if isinstance(file, McapFile))

    def close(self) -> None:
        """Closes all files."""
        self._stack.close()

    def _open_files(self, folder: BagFolder) -> list[BagFile]:
        files: list[BagFile] = []
        if not folder.files:
            raise EpisodesError(f"a bag must have files with messages, got none in {folder.path}; leave it out")
        for path in folder.files:
            with guarded(path):
                files.append(open_file(path, folder, self._stack, is_last=path == folder.files[-1]))
        return files


def _decode(channel: Channel, data: bytes) -> Any:
    return types_of(channel).deserialize_cdr(data, channel.type_name)


@contextlib.contextmanager
def opened(paths: Sequence[pathlib.Path]) -> Iterator[Bags]:
    """Yields open bags.

    Raises:
        EpisodesError: where a bag cannot be opened.
    """
    bags = Bags(paths)
    try:
        yield bags
    finally:
        bags.close()
