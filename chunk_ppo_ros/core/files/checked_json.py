"""Writes small JSON files with a checksum, so that a changed byte is named and never taken for content."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.errors import DamagedFile

_CHECKSUM = "checksum"
"""The key of the checksum. It stands beside the content, so that other programs read the file as before."""


def write_checked_json(path: Path, content: Mapping[str, object], *, indent: int | None = None) -> None:
    """Writes a JSON object, and returns when it survives a power cut.

    Args:
        path: the file.
        content: the object, without the key "checksum".
        indent: the number of spaces by which lines are indented, or None for one line.

    Raises:
        OSError: when the file cannot be written.
    """
    plain = json.loads(json.dumps(content))
    text = json.dumps(plain | {_CHECKSUM: _checksum(plain)}, indent=indent) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_checked_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file, without its checksum.

    A file without a checksum, as earlier versions of this package wrote it, is read as it is.

    Raises:
        OSError: when the file cannot be read.
        DamagedFile: when the file holds no JSON object, or another one than was written.
    """
    data = path.read_bytes()
    try:
        content = json.loads(data)
    except ValueError as error:
        raise DamagedFile(f"{path} must hold a JSON object, got {_shown(data)} ({error})") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path} must hold a JSON object, got {_shown(data)}")
    if _CHECKSUM not in content:
        return content
    expected = content.pop(_CHECKSUM)
    if expected != _checksum(content):
        raise DamagedFile(f"{path} must hold what was written to it, but its checksum is wrong: {_shown(data)}")
    return content


def _checksum(content: Mapping[str, object]) -> str:
    """Returns the CRC-32 of an object, in hexadecimal digits. Spaces and the order of keys do not change it."""
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def _shown(data: bytes) -> str:
    return repr(data[:200].decode(errors="replace"))
