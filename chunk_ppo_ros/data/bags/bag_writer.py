"""Records raw messages as rosbag2 folders (MCAP), without rosbag2.

A recording is a folder of parts. Each part is a whole bag with its own metadata.yaml. Therefore all parts but the
newest are readable while the recording grows, and the oldest can be removed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rosbags.interfaces import Nodetype, Qos, QosDurability
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from chunk_ppo_ros.data.bags.salvaging.recording_lock import locked


def find_definition(name: str) -> pathlib.Path:
    """Returns the path of the installed `.msg` file of a type such as 'std_msgs/msg/Header'.

    ROS from apt names its prefixes in AMENT_PREFIX_PATH. A virtual environment with the wheels of ROS is a prefix
    itself. A package that Python finds elsewhere has its definitions in the prefix that its modules are in.

    Raises:
        FileNotFoundError: where no prefix has the file.
    """
    package, kind, message = name.split("/")
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    prefixes += _prefix_of_modules(package)
    for prefix in prefixes:
        path = pathlib.Path(prefix) / "share" / package / kind / f"{message}.msg"
        if path.is_file():
            return path
    raise FileNotFoundError(f"the definition of {name} must be installed, found none below {', '.join(prefixes)}")


def _prefix_of_modules(package: str) -> list[str]:
    """Returns the prefix PREFIX of a package in PREFIX/lib/pythonX.Y/site-packages, or nothing without the package."""
    spec = importlib.util.find_spec(package)
    found = (spec.submodule_search_locations or []) if spec else []
    return [str(pathlib.Path(place).parents[3]) for place in found]


def load_types(names: Iterable[str]) -> Typestore:
    """Returns the definitions of message types, such as 'std_msgs/msg/Header', and of all types that they contain.

    Raises:
        FileNotFoundError: where a package does not install its definition.
    """
    store = get_typestore(Stores.EMPTY)
    missing = list(names)
    while missing:
        name = missing.pop()
        if name not in store.fielddefs:
            types = get_types_from_msg(find_definition(name).read_text(encoding="utf-8"), name)
            store.register(types)
            missing.extend(type_ for _, field in types[name][1] for type_ in _contained(field))
    return store


def _contained(field: Any) -> list[str]:
    """Returns the message type of a parsed field, or of its elements where it is an array or a sequence."""
    kind, description = field
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return _contained(description[0])
    return [description] if kind is Nodetype.NAME else []


def _is_latched(profile: Qos) -> bool:
    """Returns whether the last value of a topic is true until the next one."""
    return profile.durability is QosDurability.TRANSIENT_LOCAL and profile.depth == 1


class BagRecorder:
    """Writes raw CDR messages into the parts of a recording. Each part begins with the newest value of latched topics.

    Args:
        folder: the folder of the recording. New parts are added to its old parts.
        types: the definitions of all types that are written.
        part_bytes: the number of message bytes after which the next part begins.
        total_bytes: the size of the folder, bytes, above which the oldest parts are removed.
        offered: returns the QoS profiles that the publishers of a topic offer, by which rosbag2 plays it.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        types: Typestore,
        *,
        part_bytes: int,
        total_bytes: int,
        offered: Callable[[str], Sequence[Qos]] = lambda topic: (),
    ) -> None:
        self._folder = folder
        self._offered = offered
        self._lock = contextlib.ExitStack()
        self._is_locked = False
        self._types = types
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._writer: Writer | None = None
        self._connections: dict[str, Any] = {}
        self._latched: dict[str, tuple[str, bytes]] = {}  # the newest value of each topic that is a state
        self._written = 0

    def write(self, topic: str, type_name: str, timestamp: int, data: bytes) -> None:
        """Adds a message that was received at `timestamp`, ns.

        Raises:
            OSError: where the message cannot be written, for example because the disk is full.
        """
        if self._writer is not None and self._written >= self._part_bytes:
            self._end_part()
        if self._writer is None:
            self._open_part()
            for name, (kind, newest) in dict(self._latched).items():
                self._write(name, kind, timestamp, newest)
        self._write(topic, type_name, timestamp, data)

    def _write(self, topic: str, type_name: str, timestamp: int, data: bytes) -> None:
        writer = self._writer or self._open_part()
        if topic not in self._connections:
            self._connections[topic] = writer.add_connection(
                topic, type_name, typestore=self._types, offered_qos_profiles=self._offered(topic)
            )
        connection = self._connections[topic]
        writer.write(connection, timestamp, data)
        self._written += len(data)
        if any(map(_is_latched, connection.ext.offered_qos_profiles)):
            self._latched[topic] = type_name, data

    def flush(self) -> None:
        """Hands what was written to the operating system, so that a process that is killed loses nothing of it.

        Raises:
            OSError: where it cannot be written.
        """
        storage = self._writer.storage if self._writer is not None else None
        if isinstance(storage, McapWriter) and storage.chunk.msgs:
            storage.close_chunk()
            storage.bio.flush()

    def close(self) -> None:
        """Ends the part, and writes its index and metadata.

        Raises:
            OSError: where the part cannot be written.
        """
        self._end_part()
        self._lock.close()

    def _end_part(self) -> None:
        writer, self._writer = self._writer, None
        self._connections = {}
        if writer is not None:
            writer.close()

    def _open_part(self) -> Writer:
        parts = sorted(self._folder.glob("part_*"))
        self._remove_oldest(parts)
        number = int(parts[-1].name.removeprefix("part_")) + 1 if parts else 0
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._is_locked:
            self._lock.enter_context(locked(self._folder))
            self._is_locked = True
        writer = Writer(
            self._folder / f"part_{number:04d}", version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
        )
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
        if isinstance(writer.storage, McapWriter):
            writer.storage.bio.flush()  # A file without its signature would be no bag.
        self._writer, self._written = writer, 0
        return writer

    def _remove_oldest(self, parts: list[pathlib.Path]) -> None:
        sizes = [sum(file.stat().st_size for file in part.rglob("*")) for part in parts]
        excess = sum(sizes) + self._part_bytes - self._total_bytes
        for part, size in zip(parts, sizes, strict=True):
            if excess <= 0:
                return
            shutil.rmtree(part)
            excess -= size
