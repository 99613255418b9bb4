"""A terminal shared by several writers: finished lines, and below them one line of progress."""

from __future__ import annotations

import shutil
import threading
from typing import TextIO

_CLEAR_LINE = "\r\x1b[K"


class Console:
    """Writes whole lines from any thread; progress is shown only where the stream is a terminal.

    Args:
        stream: where it writes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._shows_progress = False
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """A finished line."""
        with self._lock:
            self._stream.write(f"{_CLEAR_LINE if self._shows_progress else ''}{text}\n")
            self._stream.flush()
            self._shows_progress = False

    def progress(self, text: str) -> None:
        """The state of a line that is not finished; the next one, or a finished line, takes its place."""
        if not self._is_terminal:
            return
        with self._lock:
            self._stream.write(f"{_CLEAR_LINE}{text[: shutil.get_terminal_size().columns - 1]}")
            self._stream.flush()
            self._shows_progress = True
