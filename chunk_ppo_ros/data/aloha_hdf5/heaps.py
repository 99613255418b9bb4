"""Checks the heaps of an HDF5 file, in which texts and arrays of varying length are.

The HDF5 library does not return from a heap whose list of entries was overwritten with zeros, as a loss of power leaves
it. So the lists are checked before anything is read from them. The layout is that of "Global Heap" in the file format
specification of HDF5, versions 2 to 4.
"""

from __future__ import annotations

import mmap
import pathlib
import re
import struct
from collections.abc import Iterator

from chunk_ppo_ros.core.errors import EpisodesError

_HEAP = re.compile(rb"GCOL\x01\0\0\0")
_HEADER_SIZE = 16
"""The bytes before the first entry of a heap, and those before the content of each entry."""
_SEARCHED = 4 * 2**20
"""The bytes at each end of a file in which heaps of attributes are searched. Images lie between them."""


def check_heaps(path: pathlib.Path, *, whole: bool) -> None:
    """Refuses a file with a heap whose list of entries is damaged.

    Args:
        path: the path of the file, which is not empty.
        whole: whether heaps are searched in the whole file, and not at its ends alone.

    Raises:
        EpisodesError: for such a file.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        ends = (0, len(content)) if whole else (0, min(len(content), _SEARCHED))
        starts = set(_heaps(content, *ends)) | set(_heaps(content, max(0, len(content) - _SEARCHED), len(content)))
        damaged = [start for start in sorted(starts) if not _is_whole(content, start)]
    if damaged:
        raise EpisodesError(
            f"episode must be a readable HDF5 file, got {path} with a damaged heap at byte {damaged[0]}; copy or "
            "record it again"
        )


def _heaps(content: mmap.mmap, begin: int, end: int) -> Iterator[int]:
    return (found.start() for found in _HEAP.finditer(content, begin, end))


def _is_whole(content: mmap.mmap, start: int) -> bool:
    """Returns whether the entries of a heap follow each other to its end."""
    if start + _HEADER_SIZE > len(content):
        return True  # it has no size, and HDF5 refuses it
    end = start + struct.unpack_from("<Q", content, start + 8)[0]
    if end > len(content):
        return True  # HDF5 refuses it
    at = start + _HEADER_SIZE
    while at + _HEADER_SIZE <= end:
        index, size = struct.unpack_from("<HxxxxxxQ", content, at)
        step = size if index == 0 else _HEADER_SIZE + (size + 7) // 8 * 8
        if step < _HEADER_SIZE:
            return False
        at += step
    return at <= end
