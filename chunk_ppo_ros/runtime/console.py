"""Shares a terminal between several writers, with finished lines and one line of progress below them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from typing import TextIO

_CLEAR_LINE = "\r\x1b[K"


class Console:
    """Writes whole lines from any thread. Progress is shown only where the stream is a terminal.

    What cannot be written is dropped, for example where the stream is a file on a full disk, or a pipe that nobody
    reads any more. The processes whose lines these are go on.

    Args:
        stream: the stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._shows_progress = False
        self._lock = threading.Lock()

    @property
    def shows_progress(self) -> bool:
        """Whether the stream is a terminal, so that progress is shown."""
        return self._is_terminal

    def line(self, text: str) -> None:
        """Writes a finished line."""
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{_CLEAR_LINE if self._shows_progress else ''}{text}\n")
            self._stream.flush()
            self._shows_progress = False

    def progress(self, text: str) -> None:
        """Shows the state of a line that is not finished. The next state or a finished line replaces it."""
        if not self._is_terminal:
            return
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{_CLEAR_LINE}{text[: shutil.get_terminal_size().columns - 1]}")
            self._stream.flush()
            self._shows_progress = True
