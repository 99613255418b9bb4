"""Finds bags, reads their messages, and follows arms over time, for all readers of recorded bags."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import yaml
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.data.message_format import FORMAT

METADATA = "metadata.yaml"
"""The file that makes a folder a bag of rosbag2."""

_FORMAT_TYPE = "chunk_ppo_msgs/msg/MessageFormat"
_FORMATTED_TYPES = tuple(f"chunk_ppo_msgs/msg/{name}" for name in ("ActionChunk", "ExecutionResult", "ChunkOutcome"))
_MAX_GAP = 0.1  # s, the largest time from a control step to the nearest joint states


def find_bags(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folder itself where it is a bag, otherwise the bags that it holds, in the order of their names."""
    if (folder / METADATA).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{METADATA}"))


def find_topics(folder: pathlib.Path) -> tuple[str, ...]:
    """Returns the topics of the first bag in a folder, or no topics where the folder has no bag.

    Raises:
        EpisodesError: where the bag cannot be read.
    """
    bags = find_bags(folder)
    if not bags:
        return ()
    with opened(bags[:1]) as reader:
        return tuple(each.topic for each in reader.connections)


def ends_with(topic: str, name: str) -> bool:
    """Returns whether a topic has the relative name `name`, in any namespace."""
    return f"/{topic}".endswith(f"/{name}")


@contextlib.contextmanager
def opened(bags: Sequence[pathlib.Path]) -> Iterator[AnyReader]:
    """Yields an open reader of bags.

    Raises:
        EpisodesError: where reading fails while the reader is open.
    """
    try:
        with _reader(bags) as reader:
            yield reader
    except (AnyReaderError, OSError, ValueError) as error:
        raise EpisodesError(
            f"recording must be whole, got {bags[0]}: {error}; leave out the part that is not"
        ) from error


def _reader(bags: Sequence[pathlib.Path]) -> AnyReader:
    """Returns a reader of bags that knows the standard types of ROS Jazzy.

    Bags of earlier versions of ROS hold no definitions, and the standard types have not changed since.
    """
    return AnyReader(bags, default_typestore=get_typestore(Stores.ROS2_JAZZY))


def check_format(bag: pathlib.Path) -> None:
    """Refuses a bag with messages of this package in another format than the one that this version reads.

    Raises:
        EpisodesError: for such a bag, or where the bag cannot be read.
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
    """Returns a message of the type `type_name`, whose Python type is known only at run time."""
    return reader.deserialize(data, type_name)


_NOTHING = ("", "~", "null")  # The ways in which YAML writes that there is no value.


def custom_data(bag: pathlib.Path) -> dict[str, str]:
    """Returns the custom data that were given to the recording, or an empty dict where there are none.

    Raises:
        EpisodesError: where the metadata cannot be read.
    """
    try:
        text = (bag / METADATA).read_text(encoding="utf-8")
        described = yaml.load(text, Loader=yaml.BaseLoader)["rosbag2_bagfile_information"]  # true stays a string
        custom = described.get("custom_data", {})
        return {} if custom in _NOTHING else dict(custom)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise EpisodesError(f"recording must have {METADATA}, got {bag}: {error!r}; run ros2 bag reindex") from error


class StoredMessages:
    """Reads single messages of bags, which stay open meanwhile.

    Args:
        bags: the folders of the bags.
    """

    def __init__(self, bags: tuple[pathlib.Path, ...]) -> None:
        """Opens the bags. The class documents arguments."""
        self._reader = _reader(bags)
        self._reader.open()
        weakref.finalize(self, self._reader.close)

    def read(self, topic: str, received: int, *, stamp: int) -> Any:
        """Returns the message that was received at `received` and has the stamp `stamp`, both in ns.

        Raises:
            OSError: where the bags do not have the message.
        """
        connections: list[Connection] = [each for each in self._reader.connections if each.topic == topic]
        for connection, _, data in self._reader.messages(connections, start=received, stop=received + 1):
            if stamp_of(data) == stamp:
                return self._reader.deserialize(data, connection.msgtype)
        raise OSError(f"the message of {topic} received at {received} ns is gone")


_open_messages = functools.lru_cache(maxsize=2)(StoredMessages)


@functools.lru_cache(maxsize=1)
def read_message(bags: tuple[pathlib.Path, ...], topic: str, received: int, stamp: int) -> Any:
    """Returns a message of bags by its topic, its time of recording and its stamp, both in ns.

    The last bags stay open, and the last message is kept.

    Raises:
        EpisodesError: where the bags have changed or are damaged.
    """
    try:
        return _open_messages(bags).read(topic, received, stamp=stamp)
    except (AnyReaderError, OSError, ValueError) as error:
        raise EpisodesError(f"recording must be whole, got {bags[0]}: {error}; copy it again") from error


@dataclasses.dataclass(frozen=True)
class Track:
    """Holds where an arm was: its states [n, 7], rad and normalized gripper, at rising times [n], s."""

    times: np.ndarray
    states: np.ndarray

    @classmethod
    def of(cls, readings: list[tuple[float, np.ndarray]]) -> Track:
        """Returns the track of pairs of a time and a state, given in any order."""
        ordered = sorted(readings, key=lambda each: each[0])
        return cls(np.array([time for time, _ in ordered]), np.array([state for _, state in ordered]))

    def at(self, times: np.ndarray, what: str) -> np.ndarray:
        """Returns the states at given times, interpolated linearly.

        Args:
            times: float [k], the times, s.
            what: the arm and its recording, for the error text.

        Returns:
            The states, float [k, 7].

        Raises:
            EpisodesError: where no recorded state is near one of the times.
        """
        known = np.concatenate([[-np.inf], self.times, [np.inf]])
        after = np.searchsorted(known, times)
        gap = np.max(np.minimum(times - known[after - 1], known[after] - times))
        if gap > _MAX_GAP:
            raise EpisodesError(
                f"joint states must be recorded within {_MAX_GAP} s of each step, got {gap:.3g} s for {what}; leave "
                "out the recording that lacks them"
            )
        return np.stack([np.interp(times, self.times, column) for column in self.states.T], axis=1)
