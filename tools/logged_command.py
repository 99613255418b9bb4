"""Runs a long command whose output goes to a file, and shows that it is at work.

pip writes hundreds of lines, among which a reader would not find the few that matter. It imports the standard library
only, because set-up runs it before there is an environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

PULSE = 30.0
"""The seconds from one line that says what the command does to the next, where no terminal shows it."""
POLL_PERIOD = 0.2
"""The seconds between two looks at the command."""
NUM_LAST = 20
"""The number of lines that are printed of a command that fails."""
_TAIL = 16384
"""The bytes in which the last lines of a file are looked for."""


def run_logged(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    log: Path,
    stream: TextIO | None = None,
    pulse: float = PULSE,
) -> int:
    """Runs a command and returns its exit status. Its output is appended to a file.

    A terminal shows the newest line of the output, which overwrites the one before. Where no terminal is, a line comes
    now and then. Where the command fails, the end of its output is printed.

    Args:
        command: the command and its arguments.
        environ: its environment variables.
        folder: the folder in which it runs.
        log: the file of its output.
        stream: where the lines are shown; standard output where not given.
        pulse: the seconds between two of them where `stream` is no terminal.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    stream = stream or sys.stdout
    shown = _Shown(stream, pulse)
    with log.open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        start = file.tell()
        with subprocess.Popen(
            list(command), cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        ) as process:
            try:
                while process.poll() is None:
                    shown.update("".join(_last_lines(log, 1, start=start)).strip())
                    time.sleep(POLL_PERIOD)
            finally:
                shown.clear()
    if process.returncode:
        print("\n".join(f"    {line}" for line in _last_lines(log, NUM_LAST, start=start)), file=stream, flush=True)
    return process.returncode


def _last_lines(log: Path, count: int, *, start: int) -> list[str]:
    """Returns the last lines of a file, as far as they come after its first `start` bytes."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _TAIL))
        return file.read().decode("utf-8", errors="replace").splitlines()[-count:]


class _Shown:
    """Shows what a command does now."""

    def __init__(self, stream: TextIO, pulse: float) -> None:
        self._stream, self._pulse = stream, pulse
        self._at, self._is_terminal = time.monotonic(), stream.isatty()

    def update(self, text: str) -> None:
        """Shows a line of the command, at once on a terminal and now and then elsewhere."""
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 3
            self._stream.write(f"\r\033[K  {text[:width]}")
            self._stream.flush()
        elif time.monotonic() - self._at >= self._pulse:
            self._at = time.monotonic()
            print(f"    still at work: {text[:100]}", file=self._stream, flush=True)

    def clear(self) -> None:
        """Removes the line from a terminal."""
        if self._is_terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()
