"""Runs one process of the supervisor in its own session, and forwards its log line by line."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from chunk_ppo_ros.runtime import interrupts
from chunk_ppo_ros.runtime.log_file import LogFile
from chunk_ppo_ros.runtime.restarts.readiness import UpFile
from chunk_ppo_ros.runtime.shown_lines import shown_line

KEPT_LINES = 50
"""The number of last lines of a process that are kept."""


class Child:
    """Runs a process by `supervised.py`, and sends its standard output and error to a log file and to `output`.

    Each line for `output` begins with the name of the process, and lacks the time and the name that ROS puts before a
    line. The log has them. Progress bars overwrite their line after a carriage
    return. The overwritten states go to `progress` only, and the log keeps the last state.

    Args:
        name: the name that stands before the lines of the process.
        command: the program and its arguments.
        environment: the whole environment of the process.
        log: the file to which the lines are appended.
        output: a function that takes a finished line. It is called from another thread.
        progress: a function that takes the state of an unfinished line. It is called from another thread.

    Raises:
        OSError: where the process cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: pathlib.Path,
        output: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        self._name = name
        self._log = log
        self._output = output
        self._progress = progress
        self._tail: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._up = UpFile(log.with_suffix(".up"))
        with interrupts.held():
            self._process = subprocess.Popen(
                command,
                env={**environment, **self._up.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._forward, name=f"{name} log", daemon=True)
        self._reader.start()

    @property
    def id(self) -> int:
        """The id of the process, and of the group of processes that it leads."""
        return self._process.pid

    @property
    def up_for(self) -> float | None:
        """The time since the process said that it is up, s, or None where it has not; see `readiness.py`."""
        return self._up.up_for()

    def poll(self) -> int | None:
        """Returns the exit code, which is negative for a signal, or None while the process runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process and to all processes that it has started. SIGINT goes to the process alone."""
        try:
            (os.kill if number == signal.SIGINT else os.killpg)(self._process.pid, number)
        except ProcessLookupError:
            return  # The process has ended meanwhile.

    def tail(self, num_lines: int) -> list[str]:
        """Returns the last lines of the process, at most `num_lines` and at most `KEPT_LINES`."""
        return list(self._tail)[-num_lines:]

    def close(self) -> None:
        """Kills what is left of the group of the process, and waits for its end and its last lines."""
        self.send(signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=1.0)
        self._up.remove()

    def _forward(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the process must be started with a pipe for its output, got none")
        rest = b""
        with self._process.stdout as stream, contextlib.closing(LogFile(self._log)) as log:
            while read := os.read(stream.fileno(), 65536):
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    self._take_line(_visible(line), log)
                if b"\r" in rest:
                    rest = rest[rest.rstrip(b"\r").rfind(b"\r") :] if rest.rstrip(b"\r") else b"\r"
                    self._progress(f"[{self._name}] {_visible(rest)}")
            if rest:
                self._take_line(_visible(rest), log)

    def _take_line(self, line: str, log: LogFile) -> None:
        self._tail.append(line)
        error = log.append(line)
        self._output(f"[{self._name}] {shown_line(line, node=self._name)}")
        if error is not None:
            self._output(f"{self._log} misses lines from here on, {self._name} goes on: {error}")


def _visible(line: bytes) -> str:
    """Returns what a terminal shows of a line after its carriage returns."""
    return line.decode("utf-8", errors="replace").rstrip("\r").rpartition("\r")[2]
