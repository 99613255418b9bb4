"""Damages files, and restores them afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[Path], object]


def truncate(file: Path) -> None:
    """Cuts a file in the middle."""
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    """Leaves a file of no bytes."""
    os.truncate(file, 0)


def flip(file: Path) -> None:
    """Changes one bit, a third of the way into a file."""
    content = bytearray(file.read_bytes())
    if content:
        content[len(content) // 3] ^= 0x10
    file.write_bytes(content)


@contextlib.contextmanager
def damaged(file: Path, damage: Damage) -> Iterator[None]:
    """Damages a file within the block, and restores it afterwards."""
    content = file.read_bytes()
    damage(file)
    try:
        yield
    finally:
        if file.is_dir():
            file.rmdir()
        file.write_bytes(content)
