"""Tells whether a process still writes a file, without taking anything from that process.

The writer marks its open file by a lock (`F_OFD_SETLK`, fcntl(2) of Linux), which nobody else takes. A reader asks the
kernel whether that lock would be in its way (`F_OFD_GETLK`), and takes none itself. The mark is gone when the file is
closed or the process has ended, however it ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO

Place = Mapping[str, object]
"""What identifies a marked file and its writer: the numbers of the file, and the writer's machine and its boot."""

_FAR = 2**62
"""The place of the locked byte. It is far behind the end of any file, because some network file systems let nobody else
read what is locked."""
_LOCK = struct.Struct("hhqqi4x")
"""`struct flock` of fcntl(2) on 64-bit Linux: kind, whence, start, length (0 is all) and process (0), native types."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""The file in which Linux names its present boot. All containers of a machine share it."""
MACHINE = Path("/etc/machine-id")
"""The file in which an installed system has its name, machine-id(5). It stays when the machine is started again."""


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
        False also where this machine was started again since. None where it cannot be known: the file was not marked,
        is a copy or cannot be read, or it was marked on another machine. A machine without /etc/machine-id, as in many
        containers, counts as another one after it was started again.
    """
    if place is None:
        return None
    try:
        here = _machine()
        if place.get("boot") != here["boot"]:
            # No process outlives the boot of its machine. Where that machine is another one, its boot may go on.
            return False if here["host"] and place.get("host") == here["host"] else None
        with path.open("rb") as file:
            if not _numbers(file).items() <= place.items():
                return None
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_RDLCK))
    except OSError:
        return None
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _lock(kind: int) -> bytes:
    return _LOCK.pack(kind, os.SEEK_SET, _FAR, 1, 0)


def place_of(file: IO[bytes]) -> Place:
    """Returns what identifies an open file, and this machine.

    Raises:
        OSError: where the system does not tell its boot.
    """
    return {**_machine(), **_numbers(file)}


def _numbers(file: IO[bytes]) -> dict[str, int]:
    """Returns what identifies an open file on its machine."""
    status = os.fstat(file.fileno())
    return {"device": status.st_dev, "inode": status.st_ino}


def _machine() -> dict[str, str]:
    """Returns the boot of this machine, and its host: a code that stays when it is started again, or an empty text.

    The code is made of the name of the installed system and of that in the network. Containers of one image on several
    machines may share the former, but seldom both.
    """
    try:
        name = MACHINE.read_text().strip()
    except OSError:
        name = ""
    # machine-id(5) asks for a code in its place wherever others may read it, as on the page of a run.
    code = hashlib.sha256(f"chunk_ppo_ros {name} {socket.gethostname()}".encode()).hexdigest()[:16]
    return {"boot": BOOT.read_text().strip(), "host": code if name else ""}
