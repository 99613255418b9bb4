"""Makes folders, and forces their lists of names out of the machine's write cache.

A file whose content was forced out may still be lost in a power cut, as long as the folder that names it was not. The
same holds for that folder, and for all above it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_sure: set[tuple[Path, int, int]] = set()
"""The folders that survive a power cut, by path, device and number, because one of the same path may be a new one."""


def sync_folder(folder: Path) -> None:
    """Returns when the names in a folder survive a power cut.

    Raises:
        OSError: when the folder cannot be read, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes a folder and its missing parents, and returns when all of them survive a power cut.

    A folder that is there already may have been made a moment ago by somebody who did not sync it. So the parents of
    such a folder are synced too, once in each process.

    Raises:
        OSError: when the folder cannot be made.
    """
    folder = folder.absolute()
    missing = {path for path in (folder, *folder.parents) if not path.is_dir()}
    folder.mkdir(parents=True, exist_ok=True)
    if not missing and _identity(folder) in _sure:
        return
    for path in (folder, *folder.parents[:-1]):
        # What is far above may belong to others, who allow no reading, or to a file system that syncs no folders.
        with contextlib.suppress(*(() if path in missing else (OSError,))):
            sync_folder(path.parent)
    _sure.add(_identity(folder))


def _identity(folder: Path) -> tuple[Path, int, int]:
    status = folder.stat()
    return folder, status.st_dev, status.st_ino
