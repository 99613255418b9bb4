"""Writes files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from chunk_ppo_ros.core.files.durable_folders import make_folder, sync_folder


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Writes a file under a temporary name and renames it, so that a file under its own name is whole.

    The folder is made if it is missing. An existing file is replaced. Several processes may write the same file, and
    the last one wins.

    Args:
        path: the file.
        write: a function that writes the content to the opened file.
        durable: whether to return only when the new file survives a power cut. Without it a power cut may lose the
            file or leave an empty one, which does for what can be made anew, such as a plot.

    Raises:
        OSError: when the file cannot be written. No temporary file is left then, nor after an error in `write`.
    """
    if durable:
        make_folder(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_in_background(path: Path) -> None:
    """Begins to make a written file survive a power cut, and returns at once.

    This is for those who must not wait for a disk, such as an emergency stop. A thread does the work. Where the disk
    fails, or the file is removed meanwhile, nothing more happens.
    """
    threading.Thread(target=_sync, args=(path,), name="sync_file", daemon=True).start()


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(path.parent)
