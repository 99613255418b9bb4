"""What the readers of recorded bags share: finding bags, passing over messages, single messages, and arms over time."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import struct
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import yaml
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.message_format import FORMAT

METADATA = "metadata.yaml"

_FORMAT_TYPE = "chunk_ppo_msgs/msg/MessageFormat"
_FORMATTED_TYPES = tuple(f"chunk_ppo_msgs/msg/{name}" for name in ("ActionChunk", "ExecutionResult", "ChunkOutcome"))
_MAX_GAP = 0.1  # s, from a control step to the nearest joint states


def find_bags(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the bags in a folder: itself, or those that it holds."""
    if (folder / METADATA).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{METADATA}"))


def find_topics(folder: pathlib.Path) -> tuple[str, ...]:
    """Returns the topics of the first bag in a folder; none where it has no bag.

    Raises:
        EpisodesError: where the bag cannot be read.
    """
    bags = find_bags(folder)
    if not bags:
        return ()
    with opened(bags[:1]) as reader:
        return tuple(each.topic for each in reader.connections)


def ends_with(topic: str, name: str) -> bool:
    """Returns whether a topic has a relative name, in whatever namespace."""
    return f"/{topic}".endswith(f"/{name}")


@contextlib.contextmanager
def opened(bags: Sequence[pathlib.Path]) -> Iterator[AnyReader]:
    """Gives a reader of bags; what goes wrong while it is open is an EpisodesError."""
    try:
        with _reader(bags) as reader:
            yield reader
    except (AnyReaderError, OSError, ValueError) as error:
        raise EpisodesError(
            f"recording must be whole, got {bags[0]}: {error}; leave out the part that is not"
        ) from error


def _reader(bags: Sequence[pathlib.Path]) -> AnyReader:
    """Bags of ROS before Jazzy hold no definitions; the standard types have not changed."""
    return AnyReader(bags, default_typestore=get_typestore(Stores.ROS2_JAZZY))


def check_format(bag: pathlib.Path) -> None:
    """Refuses a bag that holds our messages in another format than this version of the package reads.

    Raises:
        EpisodesError: saying so, or that the bag cannot be read.
    """
    with opened([bag]) as reader:
        if not any(each.msgtype in _FORMATTED_TYPES for each in reader.connections):
            return
        constants, _ = reader.typestore.fielddefs.get(_FORMAT_TYPE, ([], []))
    found = {name: value for name, _, value in constants}.get("VERSION")
    if found != FORMAT:
        got = "an older one" if found is None else f"format {found}"
        raise EpisodesError(
            f"a recording must have message format {FORMAT}, got {got} in {bag}; read it with the version of "
            "chunk_ppo_ros that recorded it, or record again"
        )


def deserialize(reader: AnyReader, data: bytes, type_name: str) -> Any:
    """Returns a message, whose type is known only when it is read."""
    return reader.deserialize(data, type_name)


_NOTHING = ("", "~", "null")  # how YAML writes that there is none


def custom_data(bag: pathlib.Path) -> dict[str, str]:
    """Returns what was given to the recording as custom data; empty where nothing was.

    Raises:
        EpisodesError: where the metadata cannot be read.
    """
    try:
        text = (bag / METADATA).read_text(encoding="utf-8")
        described = yaml.load(text, Loader=yaml.BaseLoader)["rosbag2_bagfile_information"]  # true stays a word
        custom = described.get("custom_data", {})
        return {} if custom in _NOTHING else dict(custom)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise EpisodesError(f"recording must have {METADATA}, got {bag}: {error!r}; run ros2 bag reindex") from error


def stamp_of(data: bytes) -> int:
    """Returns the stamp, ns, of a serialized message that begins with a Header; nothing else is deserialized."""
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


class StoredMessages:
    """Single messages of bags, which stay open meanwhile.

    Args:
        bags: the folders.
    """

    def __init__(self, bags: tuple[pathlib.Path, ...]) -> None:
        """Opens the bags; see the class."""
        self._reader = _reader(bags)
        self._reader.open()
        weakref.finalize(self, self._reader.close)

    def read(self, topic: str, received: int, *, stamp: int) -> Any:
        """Returns the message that was received at `received` and is stamped `stamp`, both ns."""
        connections: list[Connection] = [each for each in self._reader.connections if each.topic == topic]
        for connection, _, data in self._reader.messages(connections, start=received, stop=received + 1):
            if stamp_of(data) == stamp:
                return self._reader.deserialize(data, connection.msgtype)
        raise OSError(f"the message of {topic} received at {received} ns is gone")


_open_messages = functools.lru_cache(maxsize=2)(StoredMessages)


@functools.lru_cache(maxsize=1)
def read_message(bags: tuple[pathlib.Path, ...], topic: str, received: int, stamp: int) -> Any:
    """See `StoredMessages.read`; the last bags stay open, and the last message is kept.

    Raises:
        EpisodesError: where the bags have changed or are damaged.
    """
    try:
        return _open_messages(bags).read(topic, received, stamp=stamp)
    except (AnyReaderError, OSError, ValueError) as error:
        raise EpisodesError(f"recording must be whole, got {bags[0]}: {error}; copy it again") from error


@dataclasses.dataclass(frozen=True)
class Track:
    """Where an arm was: states [n, 7] at times [n] in s, which do not fall."""

    times: np.ndarray
    states: np.ndarray

    @classmethod
    def of(cls, readings: list[tuple[float, np.ndarray]]) -> Track:
        """From times and states in any order."""
        ordered = sorted(readings, key=lambda each: each[0])
        return cls(np.array([time for time, _ in ordered]), np.array([state for _, state in ordered]))

    def at(self, times: np.ndarray, what: str) -> np.ndarray:
        """Returns [k, 7], interpolated linearly at times [k]; `what` is for the message where they are too far away."""
        known = np.concatenate([[-np.inf], self.times, [np.inf]])
        after = np.searchsorted(known, times)
        gap = np.max(np.minimum(times - known[after - 1], known[after] - times))
        if gap > _MAX_GAP:
            raise EpisodesError(
                f"joint states must be recorded within {_MAX_GAP} s of each step, got {gap:.3g} s for {what}; leave "
                "out the recording that lacks them"
            )
        return np.stack([np.interp(times, self.times, column) for column in self.states.T], axis=1)
