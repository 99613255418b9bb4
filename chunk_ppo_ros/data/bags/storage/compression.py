"""Unpacks compressed chunks, messages and files of bags, never to more bytes than they declare."""

from __future__ import annotations

import pathlib
import sys
from typing import IO

import lz4.frame

from chunk_ppo_ros.data.bags.storage.stored import DamagedFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1 << 20
_MAX_CHUNK = 1 << 30
"""The most bytes that a chunk of MCAP may have, unpacked. rosbag2 writes chunks of about 1 MB."""


def unpack_chunk(packed: bytes, compression: str, size: int) -> bytes:
    """Returns the unpacked bytes of a chunk.

    Args:
        packed: the bytes in the file.
        compression: "", "zstd" or "lz4".
        size: the number of unpacked bytes that the file declares.

    Raises:
        DamagedFile: where the size is another one, or the compression is unknown.
    """
    if size > _MAX_CHUNK:
        raise DamagedFile(f"a chunk must have at most {_MAX_CHUNK} bytes, got {size}")
    if compression == "":
        unpacked = packed
    elif compression == "zstd":
        unpacked = zstd.ZstdDecompressor().decompress(packed, max_length=size + 1)
    elif compression == "lz4":
        unpacked = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    else:
        raise DamagedFile(f"the compression of a chunk must be zstd, lz4 or none, got {compression!r}")
    if len(unpacked) != size:
        raise DamagedFile(f"a chunk must have the {size} bytes that it declares, got {len(unpacked)}")
    return unpacked


def unpack_message(packed: bytes) -> bytes:
    """Returns a message that rosbag2 compressed (`--compression-mode message`)."""
    return zstd.decompress(packed)


def unpack_file(packed: pathlib.Path, unpacked: IO[bytes]) -> bool:
    """Writes the unpacked bytes of a file that rosbag2 compressed, as far as they go, and returns whether it is whole.

    Raises:
        OSError: where the disk is full.
    """
    with zstd.open(packed, "rb") as source:
        while True:
            try:
                piece = source.read(_PIECE)
            except (EOFError, zstd.ZstdError):
                return False
            if not piece:
                return True
            unpacked.write(piece)
