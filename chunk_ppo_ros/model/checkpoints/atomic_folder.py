"""Writes folders whole or not at all, and computes the checksums by which a changed file is found."""

from __future__ import annotations

import contextlib
import os
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.files.durable_folders import make_folder
from chunk_ppo_ros.core.folders import check_folder

UNFINISHED = ".unfinished_"
"""The prefix of the name of a folder that is being written or removed."""

_BLOCK = 2**20


def checksums(folder: Path, *, below: str = "") -> dict[str, int]:
    """Returns the CRC-32 of each file of `folder/below`, by its path in `folder`.

    They are needed because Orbax itself does not notice a changed byte.
    """
    files = sorted(file for file in (folder / below).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _checksum(file) for file in files}


def check_unchanged(folder: Path, expected: Mapping[str, int], *, below: str) -> None:
    """Compares the files of `folder/below` with their checksums.

    Raises:
        CheckpointError: naming the first file that was changed or is missing.
    """
    found = checksums(folder, below=below)
    for name, checksum in expected.items():
        if name.startswith(f"{below}/") and found.get(name) != checksum:
            state = "was changed" if name in found else "is missing"
            raise CheckpointError(f"{folder / name} {state} since it was written; take another checkpoint")


def check_is_free(target: Path) -> None:
    """Refuses a path that exists already, or cannot be made. Callers ask this before the work that is written there.

    Raises:
        CheckpointError: when the path exists.
        SettingError: when no folder can be made beside it.
    """
    if target.exists():
        raise CheckpointError(f"checkpoint {target} must not exist yet, but it does; remove it or take another name")
    check_folder(target.parent, "the checkpoint")


def unfinished_folder(target: Path) -> Path:
    """Returns the folder that `write_atomically` writes before it gets its name."""
    return target.parent / f"{UNFINISHED}{target.name}"


def write_atomically(target: Path, write: Callable[[Path], None]) -> Path:
    """Calls `write` with a temporary folder, and renames that folder to `target` once everything is on the disk.

    Raises:
        CheckpointError: when `target` exists or cannot be written.
    """
    check_is_free(target)
    temporary = unfinished_folder(target)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        make_folder(target.parent)
        temporary.mkdir()
        write(temporary)
        for entry in [*temporary.rglob("*"), temporary]:
            _flush(entry)
        temporary.rename(target)
        _flush(target.parent)
    except Exception as error:  # Orbax and its storage raise many kinds of errors for a full disk.
        with contextlib.suppress(OSError):
            target.rename(temporary)  # Its name may not survive a power cut, so that it must be written again.
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint {target} cannot be written: {error}; make room or mend the folder's permissions"
        ) from error
    return target


def _checksum(file: Path) -> int:
    """Returns the CRC-32 of a file, which may be larger than the memory."""
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _flush(path: Path) -> None:
    """Makes the operating system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
