"""Checks the places of outputs before the work whose result is written there."""

from __future__ import annotations

import tempfile
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
