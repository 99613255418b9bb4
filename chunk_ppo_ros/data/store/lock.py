"""Lets only one process write a store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.durable_folders import make_folder

LOCK = "LOCK"
"""The name of the file that the writing process holds."""


class StoreLocked(UserError):
    """Another process writes the store."""


class FolderLock:
    """Holds a folder for this process, until `release` or the death of the process.

    It is a lock of the operating system (flock), which is free at once when its process dies. Network disks may not
    know it, so that a store belongs on a disk of its machine.

    Args:
        folder: the folder. It is made if it is missing.

    Raises:
        StoreLocked: when another process, or another part of this one, holds it.
        OSError: when the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise StoreLocked(
                f"{folder} must be written by one process, but {holder} holds it; end that process first, or give this "
                "run another run.exp_name"
            ) from error
        with contextlib.suppress(OSError):  # On a full disk the holder has no name, and holds the folder nevertheless.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Frees the folder."""
        os.close(self._descriptor)
