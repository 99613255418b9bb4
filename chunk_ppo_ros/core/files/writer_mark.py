"""Tells whether a process still writes a file, without taking anything from that process.

The writer marks its open file by a lock (`F_OFD_SETLK`, fcntl(2) of Linux), which nobody else takes. A reader asks the
kernel whether that lock would be in its way (`F_OFD_GETLK`), and takes none itself. The mark is gone when the file is
closed or the process has ended, however it ended.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO

Place = Mapping[str, object]
"""What identifies a marked file: the boot of its machine, its device and its inode."""

_FAR = 2**62
"""The place of the locked byte. It is far behind the end of any file, because some network file systems let nobody else
read what is locked."""
_LOCK = struct.Struct("hhqqi4x")
"""`struct flock` of fcntl(2) on 64-bit Linux: kind, whence, start, length (0 is all) and process (0), native types."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""The file in which Linux names its present boot. All containers of a machine share it."""


def mark(file: IO[bytes]) -> Place | None:
    """Marks an open file as written by this process, until the file is closed.

    Returns:
        Where the mark is, for `is_marked`. None where the system has no such locks, or another process has marked it.
    """
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return None
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK))
        return place_of(file)
    except OSError:
        return None


def is_marked(path: Path, place: Place | None) -> bool | None:
    """Returns whether a process still writes a file.

    Args:
        path: the file.
        place: what `mark` returned to the writer.

    Returns:
        None where that cannot be known: the file was not marked or is a copy, it was marked on another machine or
        before this one was started again, or it cannot be read.
    """
    if place is None:
        return None
    try:
        with path.open("rb") as file:
            if place_of(file) != dict(place):
                return None
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_RDLCK))
    except OSError:
        return None
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _lock(kind: int) -> bytes:
    return _LOCK.pack(kind, os.SEEK_SET, _FAR, 1, 0)


def place_of(file: IO[bytes]) -> Place:
    """Returns what identifies an open file on this machine until it is started again."""
    status = os.fstat(file.fileno())
    return {"boot": BOOT.read_text().strip(), "device": status.st_dev, "inode": status.st_ino}
