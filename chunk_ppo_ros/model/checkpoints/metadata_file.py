"""Reads and writes the JSON files beside a checkpoint's arrays, which have a format version and a checksum.

A file is checked against both when it is read.
"""

from __future__ import annotations

import dataclasses
import json
import typing
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from chunk_ppo_ros.core.errors import CheckpointError

FORMAT_VERSION = 1
OTHER_RELEASE = "read it by the release of chunk_ppo_ros that wrote it"
"""What to do with a file that this release does not understand."""

SectionT = TypeVar("SectionT")


def read_checked(file: Path) -> dict[str, object]:
    """Returns the content of a file that `write_checked` wrote, without its checksum.

    Raises:
        CheckpointError: when it is missing, damaged, changed, or of another format version.
    """
    content = read_json(file)
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:  # `True == 1` in Python, so the type is checked too.
        raise CheckpointError(f"{file} must have format_version {FORMAT_VERSION}, got {version}; {OTHER_RELEASE}")
    checksum = content.pop("checksum", None)  # The first checkpoints had no checksum.
    if checksum is not None and checksum != _checksum(content):
        raise CheckpointError(f"{file} was changed since it was written; take another checkpoint")
    return content


def write_checked(file: Path, content: Mapping[str, object]) -> None:
    """Writes a file that `read_checked` reads, with `content`, the format's version and a checksum of both."""
    stored = json.loads(json.dumps({"format_version": FORMAT_VERSION, **content}))  # JSON makes lists of tuples.
    file.write_text(json.dumps({**stored, "checksum": _checksum(stored)}, indent=2) + "\n")


def section_of(file: Path, content: Mapping[str, object], name: str) -> dict[str, object]:
    """Returns one section of a file's content.

    Raises:
        CheckpointError: when the section is missing or no object.
    """
    section = content.get(name)
    if not isinstance(section, dict):
        raise CheckpointError(f"{file} must have a section {name}, got {section!r}; take another checkpoint")
    return section


def checked_checksums(file: Path, section: Mapping[str, object]) -> dict[str, int]:
    """Returns the checksums of files by their paths, which a section of a JSON file has.

    Raises:
        CheckpointError: when a checksum is no whole number.
    """
    checksums = {}
    for name, value in section.items():
        if type(value) is not int:  # `isinstance(True, int)` holds in Python, so the type itself is compared.
            raise CheckpointError(f"the checksum of {name} in {file} must be a whole number, got {value!r}")
        checksums[name] = value
    return checksums


def parse_section(file: Path, name: str, section: Mapping[str, object], kind: type[SectionT]) -> SectionT:
    """Returns a section as the dataclass from which it was written. Fields with defaults may be missing.

    Args:
        file: the file of the section, for error texts.
        name: the section's name.
        section: the section's content.
        kind: dataclass of strings, booleans, numbers and tuples of strings.

    Raises:
        CheckpointError: when a field is missing, unknown or of a wrong type.
    """
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    try:
        parsed = kind(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the section {name} of {file} does not fit: {error}; {OTHER_RELEASE}") from error
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(parsed):  # type: ignore[arg-type]
        value, hint = getattr(parsed, field.name), hints[field.name]
        expected = typing.get_origin(hint) or hint
        wrong_bool = isinstance(value, bool) and expected is not bool
        if wrong_bool or not isinstance(value, expected):
            raise CheckpointError(f"{name}.{field.name} of {file} must be of type {expected.__name__}, got {value!r}")
    return parsed


def read_json(file: Path) -> dict[str, object]:
    """Returns the JSON object in a file.

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


def _checksum(content: Mapping[str, object]) -> int:
    """Returns the CRC-32 of JSON content, which does not depend on the layout of the file."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
