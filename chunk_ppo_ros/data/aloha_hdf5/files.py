"""Finds the HDF5 files below a folder, in an order that is the same on every machine."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

from chunk_ppo_ros.core.errors import EpisodesError

SUFFIXES = (".hdf5", ".h5")
"""The ends of the names of the recorders' files, in small or capital letters."""

_OTHER_FORMATS = ("metadata.yaml", "meta/info.json", "*.mcap", "*.db3")
"""What is in a folder whose recordings are of another format of this package."""


def is_recording(path: pathlib.Path) -> bool:
    """Returns whether a path is a file whose name ends with one of `SUFFIXES`, or a link to one that is gone.

    Hidden files are none. A Mac writes a hidden file `._NAME` beside each file on a disk of another system.
    """
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return named and (path.is_file() or (path.is_symlink() and not path.exists()))


def has_recordings(folder: pathlib.Path) -> bool:
    """Returns whether a folder or a folder below it has a recording."""
    return any(is_recording(path) for path in walk(folder))


def walk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the recordings of a folder, and in their place folders below it that have another format.

    The files of a folder come first, then those of its sub-folders. Both are sorted by the numbers in their names, so
    that episode_2 comes before episode_10. Hidden folders are not entered.

    Raises:
        EpisodesError: where a folder cannot be read.
    """
    try:
        entries = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_by_number)
    except OSError as error:
        raise EpisodesError(f"folders of episodes must be readable, got {folder}: {error}; check its rights") from error
    yield from (path for path in entries if is_recording(path))
    for path in entries:
        if not path.is_dir() or path.resolve() in (folder.resolve(), *folder.resolve().parents):
            continue
        if any(next(path.glob(pattern), None) for pattern in _OTHER_FORMATS):
            yield path
        else:
            yield from walk(path)


def _by_number(path: pathlib.Path) -> list[tuple[int, str]]:
    parts = [*re.split(r"(\d+)", path.stem), path.suffix]
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
