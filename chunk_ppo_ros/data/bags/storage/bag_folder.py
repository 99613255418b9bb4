"""Finds bags of rosbag2, and reads their `metadata.yaml`. A bag that was cut off has none."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import yaml

METADATA = "metadata.yaml"
"""The file that makes a folder a whole bag of rosbag2."""
PACKED = ".zstd"
_ENDINGS = (".mcap", ".db3")
_NEWEST = 9
"""The newest version of `metadata.yaml` that is known."""


class BadMetadata(ValueError):
    """`metadata.yaml` is damaged or of an unknown kind."""


@dataclasses.dataclass(frozen=True)
class BagFolder:
    """Describes a bag.

    Attributes:
        path: its folder, or its only file where that was named.
        files: the files with messages, in order.
        has_metadata: whether the bag has `metadata.yaml`. Without it, the recorder did not end the bag.
        counts: the number of messages of each topic by `metadata.yaml`; empty without it.
        types: the types of the topics by `metadata.yaml`.
        digests: the hashes of the types' definitions by `metadata.yaml`, as far as it has them.
        custom: the custom data that were given to the recording, as YAML has them.
    """

    path: pathlib.Path
    files: tuple[pathlib.Path, ...]
    has_metadata: bool = False
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    custom: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find_bags(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the path itself where it is a bag or a file of one, otherwise the bags below it, in order of their names.

    A folder is a bag where it has `metadata.yaml`, or files with messages.
    """
    if path.is_file():
        return [path] if _is_message_file(path.name) else []
    found = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        seen.add(real)
        if METADATA in files or any(_is_message_file(name) for name in files):
            found.append(pathlib.Path(folder))
            folders.clear()
    return found


def _is_message_file(name: str) -> bool:
    return not name.startswith(".") and name.removesuffix(PACKED).endswith(_ENDINGS)


def is_sqlite(path: pathlib.Path) -> bool:
    """Returns whether a file of a bag, packed or not, is one of SQLite."""
    return path.name.removesuffix(PACKED).endswith(".db3")


def describe_bag(path: pathlib.Path) -> BagFolder:
    """Returns what a bag consists of.

    Raises:
        BadMetadata: where `metadata.yaml` is damaged, or names files that are missing.
        OSError: where a file cannot be read.
    """
    if path.is_file():
        return BagFolder(path, (path,))
    if not (path / METADATA).is_file():
        files = (file for file in path.iterdir() if _is_message_file(file.name) and file.is_file())
        return BagFolder(path, tuple(sorted(files, key=_by_numbers)))
    try:
        text = (path / METADATA).read_text(encoding="utf-8")
        # BaseLoader keeps texts such as true and 1 as they are.
        return _described(path, yaml.load(text, Loader=yaml.BaseLoader)["rosbag2_bagfile_information"])
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, RecursionError, ValueError) as error:
        if isinstance(error, BadMetadata):
            raise
        what = f"without {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise BadMetadata(f"{METADATA} must be as rosbag2 writes it, got one {what}") from error


def _by_numbers(path: pathlib.Path) -> list[tuple[int, str]]:
    """Returns a key that sorts bag_2 before bag_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def _described(path: pathlib.Path, metadata: Any) -> BagFolder:
    version, form = int(metadata["version"]), metadata.get("compression_format", "")
    mode = metadata.get("compression_mode", "").lower()
    if version > _NEWEST:
        raise BadMetadata(f"the version of {METADATA} must be at most {_NEWEST}, got {version}")
    if mode not in ("", "none") and form != "zstd":
        raise BadMetadata(f"a bag must be compressed by zstd, got {form!r}")
    files = tuple(path / pathlib.PurePosixPath(name).name for name in metadata["relative_file_paths"])
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BadMetadata(f"a bag must have the files that {METADATA} names, got none called {', '.join(missing)}")
    wrong = [file.name for file in files if not _is_message_file(file.name)]
    if wrong:
        raise BadMetadata(f"a bag must be stored as MCAP or SQLite, got {', '.join(wrong)}")
    counts: dict[str, int] = {}
    types: dict[str, str] = {}
    digests: dict[str, str] = {}
    for entry in metadata["topics_with_message_count"]:
        topic = entry["topic_metadata"]
        if not topic["name"].isprintable():
            raise BadMetadata(f"topics of {METADATA} must have printable names, got {topic['name']!r}")
        counts[topic["name"]] = counts.get(topic["name"], 0) + int(entry["message_count"])
        types[topic["name"]] = topic["type"]
        if topic.get("type_description_hash"):
            digests[topic["type"]] = topic["type_description_hash"]
    custom = _custom(metadata.get("custom_data", ""))
    return BagFolder(path, files, True, counts, types, digests, custom)


def _custom(found: Any) -> Mapping[str, Any]:
    """Returns custom data. YAML has several ways to write that there are none."""
    if found in ("", "~", "null", []):
        return {}
    if not isinstance(found, Mapping):
        raise BadMetadata(f"custom_data of {METADATA} must be texts by their names, got {found!r}")
    return found
