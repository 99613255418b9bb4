"""Names the files of a store, and writes and reads their first two lines."""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.store.contents import SegmentHeader

_TITLE = b"chunk_ppo_ros store 1\n"
_BEGINNING = b"chunk_ppo_ros store "
_SUFFIX = ".log"
UNFINISHED = ".unfinished"
"""The suffix of a file that was being begun and holds no record, in place of that of a segment."""
MAX_HEADER = 4096
"""The largest length of the first two lines, bytes."""


def segment_path(folder: Path, first_index: int) -> Path:
    """Returns the path of the segment whose first record has an index."""
    return folder / f"{first_index:020d}{_SUFFIX}"


def first_index_of(path: Path) -> int:
    """Returns the index of the first record of a segment, which is its name."""
    return int(path.stem)


def list_segments(folder: Path) -> list[Path]:
    """Returns the segments of a store in the order of their records."""
    if not folder.is_dir():
        return []
    paths = (path for path in folder.iterdir() if path.suffix == _SUFFIX and path.stem.isdecimal())
    return sorted(paths, key=first_index_of)


def encode_segment_header(header: SegmentHeader) -> bytes:
    """Returns the first two lines of a segment."""
    content = json.dumps(dataclasses.asdict(header)).encode()
    return _TITLE + content + f" {zlib.crc32(_TITLE + content):08x}\n".encode()


def decode_segment_header(data: bytes, path: Path) -> tuple[SegmentHeader, int] | None:
    """Returns the header of a segment and its length in bytes, or None where it is damaged.

    Args:
        data: the first `MAX_HEADER` bytes of the file.
        path: the file, for the message.

    Raises:
        UserError: when a later version of this package wrote the file in another format.
    """
    title, _, rest = data.partition(b"\n")
    line, newline, _ = rest.partition(b"\n")
    content, _, checksum = line.rpartition(b" ")
    expected = zlib.crc32(title + b"\n" + content)
    if not newline or checksum != f"{expected:08x}".encode():
        return None
    if title + b"\n" != _TITLE:
        if title.startswith(_BEGINNING) and title.removeprefix(_BEGINNING).isdigit():
            raise UserError(
                f"a stored segment must begin with {_TITLE.decode().strip()!r}, got {title.decode()!r} in {path}; read "
                "it by the version of chunk_ppo_ros that wrote it"
            )
        return None
    return SegmentHeader(**json.loads(content)), len(title) + 1 + len(line) + 1
