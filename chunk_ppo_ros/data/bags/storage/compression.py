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
_ZSTD = b"\x28\xb5\x2f\xfd"
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


def unpack_message(data: bytes) -> bytes:
    """Returns a message, unpacked where rosbag2 compressed it (`--compression-mode message`).

    Compressed ones begin with the signature of zstd. No serialized message does.
    """
    return zstd.decompress(data) if data.startswith(_ZSTD) else data


def unpack_file(packed: pathlib.Path, unpacked: IO[bytes]) -> bool:
    """Writes the unpacked bytes of a file that rosbag2 compressed, and returns whether the file was not cut off.

    Of a file that was cut off, all bytes before the cut are written.

    Raises:
        zstd.ZstdError: where the file is damaged.
        OSError: where the disk is full.
    """
    with zstd.open(packed, "rb") as source:
        while True:
            try:
                piece = source.read1(_PIECE)
            except EOFError:
                return False
            if not piece:
                return True
            unpacked.write(piece)
