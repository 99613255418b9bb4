"""Opens HDF5 files, and says in one line how a file is damaged."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import h5py

from chunk_ppo_ros.core.errors import EpisodesError

DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""The errors that h5py raises for a damaged file. Their kind depends on the place of the damage."""


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[h5py.File]:
    """Opens a file, and names it where something within it cannot be read.

    Args:
        path: the path of the file.

    Raises:
        EpisodesError: where the file cannot be read, here or while it is open.
    """
    try:
        if path.stat().st_size == 0:
            raise EpisodesError(f"episode must be a readable HDF5 file, got {path}, which is empty; record it again")
        with h5py.File(path, "r") as file:
            yield file
    except BlockingIOError as error:
        raise EpisodesError(
            f"episode must be a readable HDF5 file, got {path}, which another program is writing; wait until its "
            "recorder has ended"
        ) from error
    except DAMAGE as error:
        raise EpisodesError(
            f"episode must be a readable HDF5 file, got {path}: {in_one_line(error)}; copy or record it again, or "
            f"leave it out by --leave_out_episodes {path.name}"
        ) from error


def in_one_line(error: BaseException) -> str:
    """Returns the text of an error without line breaks, or its kind where it has no text."""
    return " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split()) or repr(error)
