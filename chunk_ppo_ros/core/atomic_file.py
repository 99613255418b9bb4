"""Writes files whole or not at all."""

from __future__ import annotations

import os
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
    except BaseException:  # Ctrl-C too must leave no temporary file.
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Returns when a file that was written without `durable` survives a power cut.

    Raises:
        OSError: when the disk fails, or the file is not there any more.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)
