"""Lets only one process write a store."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.durable_folders import make_folder
from chunk_ppo_ros.core.files.file_lock import FileHeld, FileLock

LOCK = "LOCK"
"""The name of the file that the writing process holds."""


class StoreLocked(UserError):
    """Another process writes the store."""


class FolderLock:
    """Holds the folder of a store for this process, until `release` or the death of the process.

    Network disks may have no such locks, so that a store belongs on a disk of its machine.

    Args:
        folder: the folder. It is made if it is missing.

    Raises:
        StoreLocked: when another process, or another part of this one, holds it.
        OSError: when the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        try:
            self._lock = FileLock(folder / LOCK)
        except FileHeld as error:
            raise StoreLocked(
                f"{folder} must be written by one process, but {error.holder} holds it; end that process first, or "
                "give this run another run.exp_name"
            ) from error

    def release(self) -> None:
        """Frees the folder."""
        self._lock.release()
