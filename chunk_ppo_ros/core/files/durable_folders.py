"""Makes folders, and forces their lists of names out of the machine's write cache.

A file whose content was forced out may still be lost in a power cut, as long as the folder that names it was not.
"""

from __future__ import annotations

import os
from pathlib import Path


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

    Raises:
        OSError: when the folder cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)
