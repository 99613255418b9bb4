"""Lets a node tell the process that started it that it is up, by a pipe whose end it inherits.

A node that nobody supervises, as under `ros2 launch`, inherits no pipe, and tells nobody.
"""

from __future__ import annotations

import contextlib
import os

VARIABLE = "CHUNK_PPO_ROS_UP_DESCRIPTOR"
"""The name of the environment variable that holds the number of the descriptor to write to."""


class UpPipe:
    """The pipe by which one process says that it is up.

    Attributes:
        writer: the descriptor that the process must inherit.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._is_up = False

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which the process finds its end of the pipe."""
        return {VARIABLE: str(self.writer)}

    def close_writer(self) -> None:
        """Closes this process's copy of the end that the other one writes to, after the other has inherited it."""
        os.close(self.writer)

    def is_up(self) -> bool:
        """Returns whether the process has said that it is up."""
        if not self._is_up and self._reader >= 0:
            with contextlib.suppress(BlockingIOError):  # Nothing was said yet.
                self._is_up = bool(os.read(self._reader, 1))
        return self._is_up

    def close(self) -> None:
        """Closes the end that is read. What was said is kept."""
        if self._reader >= 0:
            self.is_up()
            os.close(self._reader)
            self._reader = -1


def tell_up() -> None:
    """Says to the process that started this one that it is up. Only the first call says it."""
    descriptor = os.environ.pop(VARIABLE, "")
    if descriptor:
        with contextlib.suppress(BrokenPipeError):  # The other process has ended, and this one will end with it.
            os.write(int(descriptor), b"u")
        os.close(int(descriptor))
