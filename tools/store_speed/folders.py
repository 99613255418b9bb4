"""Reads the flag that says which disk is measured."""

from __future__ import annotations

import pathlib


def made_folder(text: str) -> pathlib.Path:
    """Returns a folder of the command line, which is made where it is missing.

    Raises:
        ValueError: when it cannot be made. argparse then names the flag and its value.
    """
    folder = pathlib.Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"a folder must be one that can be made, got {text}: {error}") from error
    return folder
