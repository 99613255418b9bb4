"""Writes files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name and renames it, so that a file under its own name is whole.

    The folder is made if it is missing. An existing file is replaced. Several processes may write the same file, and
    the last one wins. The file is not forced out of the machine's write cache, so that a power cut may lose it.

    Args:
        path: the file.
        write: a function that writes the content to the opened file.

    Raises:
        OSError: when the file cannot be written. No temporary file is left then, nor after an error in `write`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
