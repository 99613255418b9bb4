"""Checks the places of outputs before the work whose result is written there, and removes what a failed work made."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chunk_ppo_ros.core.errors import SettingError


def check_folder(folder: Path | str, setting: str) -> None:
    """Makes a folder with its parents where it is missing, and makes sure that a file can be written in it.

    Args:
        folder: the folder of an output.
        setting: the setting or flag that names the folder, for the error text.

    Raises:
        SettingError: where the folder cannot be made or no file can be written in it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingError(
            f"{setting} must be in a folder that can be written, got {folder}: {error}; name another, or mend its "
            "permissions"
        ) from error


def check_file(file: Path, flag: str) -> None:
    """Makes the folder of an output file as `check_folder` does, and refuses a file that is a folder.

    Raises:
        SettingError: where the file cannot be written.
    """
    if file.is_dir():
        raise SettingError(f"{flag} must be a file, got the folder {file}; add the name of the file")
    check_folder(file.parent, flag)


class NewFolders:
    """Knows which of some folders and their parents were missing when it was made, and removes those that are empty.

    Args:
        folders: the folders that somebody is about to make.
    """

    def __init__(self, *folders: Path) -> None:
        missing = {path for folder in folders for path in (folder, *folder.parents) if not path.exists()}
        self._missing = sorted(missing, key=lambda path: -len(path.parts))

    def remove_empty(self) -> None:
        """Removes the folders that were missing and have nothing in them now."""
        for folder in self._missing:
            with contextlib.suppress(OSError):  # It is gone, or something is in it.
                folder.rmdir()


class NewContent:
    """Knows what is new in some folders since it was made, and removes it.

    A folder that was there before stays with what it held then. Parent folders that are new go too, if nothing else is
    in them.

    Args:
        folders: the folders that somebody is about to make, or in which files and folders are to be made.
    """

    def __init__(self, *folders: Path) -> None:
        self._before = {folder: _children(folder) for folder in folders}
        self._parents = NewFolders(*(folder.parent for folder in folders))

    def remove(self) -> list[Path]:
        """Removes what is new.

        Returns:
            The removed folders, and the files and folders that were removed from folders that stay. Parent folders are
            not among them.
        """
        removed = [path for folder, kept in self._before.items() for path in _remove(folder, kept)]
        self._parents.remove_empty()
        return removed


@contextlib.contextmanager
def removed_after_failure(*folders: Path, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Removes what is new in some folders where the `with` block raises an Exception, so that a corrected try works.

    Ctrl-C is no failure, because the user may want to go on.

    Args:
        folders: the folders that the block makes, or in which it makes files and folders.
        unless: returns whether the work already has a result, so that everything stays.
    """
    new = NewContent(*folders)
    try:
        yield
    except Exception:  # Whatever the failure was, it is raised again. Ctrl-C is none, as said above.
        if not unless():
            new.remove()
        raise


def _children(folder: Path) -> set[Path] | None:
    """Returns the files and folders in a folder, or None where it is missing."""
    return set(folder.iterdir()) if folder.is_dir() else None


def _remove(folder: Path, kept: set[Path] | None) -> list[Path]:
    """Removes a folder, or what is new in it where `kept` lists what it held before. Returns what was removed."""
    new = [folder] if kept is None else sorted((_children(folder) or set()) - kept)
    there = [path for path in new if path.is_symlink() or path.exists()]
    for path in there:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return there
