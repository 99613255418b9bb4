"""Lets a node tell the process that started it that it is up, by a file that it makes.

The file holds the steady time at which the node was up, which all processes of a machine share. The time of the file
itself would be wrong where somebody sets the clock. A node that nobody waits for, such as one that was started by hand,
tells nobody.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time

VARIABLE = "CHUNK_PPO_ROS_UP_FILE"
"""The name of the environment variable that holds the path of the file to make."""


class UpFile:
    """The file by which one process says that it is up.

    Args:
        path: the file. What an earlier process left there is removed.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.remove()

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which the process finds the file."""
        return {VARIABLE: str(self._path)}

    def up_for(self) -> float | None:
        """Returns the time since the process said that it is up, s, or None where it has not said so.

        A file without a time is one that the process is about to write, or that a full disk has left empty.
        """
        try:
            return time.monotonic() - float(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def remove(self) -> None:
        """Removes the file, when the process has ended."""
        self._path.unlink(missing_ok=True)


def tell_up() -> None:
    """Says to the process that started this one that it is up. Only the first call says it.

    Where the disk takes no file, the node counts as one that lived on only by its age (`respawns.py`).
    """
    path = os.environ.pop(VARIABLE, "")
    if path:
        with contextlib.suppress(OSError):
            pathlib.Path(path).write_text(repr(time.monotonic()))
