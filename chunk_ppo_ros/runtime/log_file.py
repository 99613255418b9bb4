"""Appends lines to a file, and goes on without it while the disk is full."""

from __future__ import annotations

import os
import pathlib

from chunk_ppo_ros.core.wording.counts import count_of


class LogFile:
    """A file of lines. A line that cannot be written is counted, and the file tells the count as soon as it can.

    Whoever forwards the output of a process must not end by a full disk, because the process would stand still then.

    Args:
        path: the file, which is made where it is missing, and to which lines are appended.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._num_missing = 0
        self._cut_off = b""

    def append(self, line: str) -> OSError | None:
        """Appends a line.

        Returns:
            The error of a line that could not be written, if the one before could. None for all others.
        """
        try:
            if self._num_missing:
                self._write(f"[{count_of(self._num_missing, 'line')} could not be written]")
                self._num_missing = 0
            self._write(line)
        except OSError as error:
            self._num_missing += 1
            return error if self._num_missing == 1 else None
        return None

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: str) -> None:
        """Writes a line, after the end of one of which a full disk took a part."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        data = self._cut_off + line.encode() + b"\n"
        written = os.write(self._descriptor, data)
        self._cut_off = b"\n" if 0 < written < len(data) else b""
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written to {self._path}")
