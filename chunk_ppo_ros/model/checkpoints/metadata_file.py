"""`metadata.json` of our checkpoints and the other JSON beside them: read with every doubt, written with a checksum."""

from __future__ import annotations

import dataclasses
import json
import typing
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from chunk_ppo_ros.core.errors import CheckpointError

FORMAT_VERSION = 1

SectionT = TypeVar("SectionT")

_SECTIONS = ("model", "counters", "provenance", "checksums")
_LATER_SECTIONS = ("frozen",)  # checkpoints of 0.1.0 lack them


def read_metadata_file(file: Path) -> dict[str, Any]:
    """The content of a `metadata.json`, whose sections are objects.

    Raises:
        CheckpointError: when it is missing, damaged, changed, or of another format version.
    """
    metadata = read_json(file)
    version = metadata.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:  # true is 1
        raise CheckpointError(f"{file} must have format_version {FORMAT_VERSION}, got {version}; use its own release")
    checksum = metadata.pop("checksum", None)  # the first checkpoints had none
    if checksum is not None and checksum != _checksum(metadata):
        raise CheckpointError(f"{file} was changed since it was written; take another checkpoint")
    for name in (*_SECTIONS, *(name for name in _LATER_SECTIONS if name in metadata)):
        if not isinstance(metadata.get(name), dict):
            raise CheckpointError(
                f"{file} must have a section {name}, got {metadata.get(name)!r}; take another checkpoint"
            )
    return metadata


def write_metadata_file(file: Path, content: Mapping[str, Any]) -> None:
    """Writes what `read_metadata_file` reads: `content`, the format's version and a checksum of both."""
    said = json.loads(json.dumps({"format_version": FORMAT_VERSION, **content}))  # as it is read: tuples are lists
    file.write_text(json.dumps({**said, "checksum": _checksum(said)}, indent=2) + "\n")


def read_section(path: Path, metadata: Mapping[str, Any], name: str, kind: type[SectionT]) -> SectionT:
    """A section of a checkpoint's metadata as the dataclass that it was written from; fields with defaults may miss.

    Args:
        path: the checkpoint, for error texts.
        metadata: what `read_metadata_file` returned.
        name: of the section.
        kind: dataclass of strings, booleans, numbers and tuples of strings.

    Raises:
        CheckpointError: for a missing or unknown field, or one of a wrong type.
    """
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in metadata[name].items()}
    try:
        section = kind(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: section {name} of the metadata does not fit: {error}") from error
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(section):  # type: ignore[arg-type]
        value, hint = getattr(section, field.name), hints[field.name]
        expected = typing.get_origin(hint) or hint
        wrong_bool = isinstance(value, bool) and expected is not bool
        if wrong_bool or not isinstance(value, expected):
            raise CheckpointError(
                f"{path}: {name}.{field.name} of the metadata must be of type {expected.__name__}, got {value!r}"
            )
    return section


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: when the file is missing, damaged or holds something else.
    """
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}; take another checkpoint") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} must hold a JSON object, got {type(content).__name__}; take another checkpoint")
    return content


def _checksum(content: Mapping[str, Any]) -> int:
    """CRC-32 of JSON content, whatever its layout."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
