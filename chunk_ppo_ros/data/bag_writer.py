"""Recording of raw messages as rosbag2 folders (MCAP), without rosbag2.

A recording is a folder of parts, each a whole bag with its metadata.yaml, so that all but the newest are readable
while it grows and the oldest can be removed.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


def find_definition(name: str) -> pathlib.Path:
    """Returns the installed `.msg` file of a type such as 'std_msgs/msg/Header'.

    ROS from apt names its prefixes in AMENT_PREFIX_PATH; the wheels of a virtual environment are a prefix themselves.

    Raises:
        FileNotFoundError: where no prefix has it.
    """
    package, kind, message = name.split("/")
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    for prefix in prefixes:
        path = pathlib.Path(prefix) / "share" / package / kind / f"{message}.msg"
        if path.is_file():
            return path
    raise FileNotFoundError(f"the definition of {name} must be installed, found none below {', '.join(prefixes)}")


def load_types(names: Iterable[str]) -> Typestore:
    """Returns the definitions of message types, such as 'std_msgs/msg/Header', and of all that they contain.

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
    """Returns the message type of a parsed field; an array or sequence holds that of its elements."""
    kind, description = field
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return _contained(description[0])
    return [description] if kind is Nodetype.NAME else []


class BagRecorder:
    """Writes raw CDR messages into the parts of a recording.

    Args:
        folder: of the recording; parts are added to those it has.
        types: definitions of all types that are written.
        part_bytes: message bytes after which the next part begins.
        total_bytes: size of the folder above which the oldest parts are removed.
    """

    def __init__(self, folder: pathlib.Path, types: Typestore, *, part_bytes: int, total_bytes: int) -> None:
        self._folder = folder
        self._types = types
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._writer: Writer | None = None
        self._connections: dict[str, Any] = {}
        self._written = 0

    def write(self, topic: str, type_name: str, timestamp: int, data: bytes) -> None:
        """Adds a message, received at `timestamp`, ns.

        Raises:
            OSError: where it cannot be written, for example because the disk is full.
        """
        if self._writer is not None and self._written >= self._part_bytes:
            self.close()
        writer = self._writer or self._open_part()
        if topic not in self._connections:
            self._connections[topic] = writer.add_connection(topic, type_name, typestore=self._types)
        writer.write(self._connections[topic], timestamp, data)
        self._written += len(data)

    def close(self) -> None:
        """Ends the part with its index and metadata.

        Raises:
            OSError: where it cannot be written.
        """
        writer, self._writer = self._writer, None
        self._connections = {}
        if writer is not None:
            writer.close()

    def _open_part(self) -> Writer:
        parts = sorted(self._folder.glob("part_*"))
        self._remove_oldest(parts)
        number = int(parts[-1].name.removeprefix("part_")) + 1 if parts else 0
        self._folder.mkdir(parents=True, exist_ok=True)
        writer = Writer(
            self._folder / f"part_{number:04d}", version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
        )
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
        self._writer, self._written = writer, 0
        return writer

    def _remove_oldest(self, parts: list[pathlib.Path]) -> None:
        sizes = [sum(file.stat().st_size for file in part.iterdir()) for part in parts]
        excess = sum(sizes) + self._part_bytes - self._total_bytes
        for part, size in zip(parts, sizes, strict=True):
            if excess <= 0:
                return
            shutil.rmtree(part)
            excess -= size
