"""Lets one process hold a file, by a lock of the operating system that is free at once when the process dies.

The lock is flock(2) of Linux. On a network file system it is a lock of the server, where both support it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from pathlib import Path


class FileHeld(Exception):
    """Another process, or another part of this one, holds the file.

    Args:
        holder: who holds it, such as "process 17 on lab-pc".
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FileLock:
    """Holds a file for this process, until `release`, `remove` or the death of the process.

    Args:
        path: the file, in which the holder writes who it is. Its folder must be there.
        access: how the file is opened, as flags of `os.open`. A file that this user may only read can be held too.

    Raises:
        FileHeld: when somebody else holds it.
        OSError: when the file cannot be opened, or its file system has no locks.
    """

    def __init__(self, path: Path, *, access: int = os.O_RDWR | os.O_CREAT) -> None:
        self._path = path
        self._descriptor = _hold(path, access)
        while not self._is_at_path():  # The one who held it before has removed it, so that it hinders nobody.
            self.release()
            self._descriptor = _hold(path, access)
        with contextlib.suppress(OSError):  # On a full disk the holder has no name, and holds the file nevertheless.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Frees the file, which stays."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Removes the file where that is possible, and frees it."""
        with contextlib.suppress(OSError):
            if self._is_at_path():
                self._path.unlink()
        self.release()

    def _is_at_path(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False


def _hold(path: Path, access: int) -> int:
    """Returns the descriptor of a file that is open and held."""
    descriptor = os.open(path, access, 0o644)
    with contextlib.suppress(OSError):  # Whoever cannot open the file cannot know that it is held. It may be another's.
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | 0o444)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise FileHeld(holder) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _holder(descriptor: int) -> str:
    """Returns who holds an open file, as far as the file tells it. It is held, whether it can be read or not."""
    text = b""
    with contextlib.suppress(OSError):  # On SMB, nobody but the holder can read a file that is held (flock(2)).
        text = os.pread(descriptor, 200, 0)
    return text.decode(errors="replace").strip() or "another process"
