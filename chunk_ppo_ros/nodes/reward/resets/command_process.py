"""Runs the user's command of a reset in a process of its own, which no callback waits for."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

GRACE = 2.0
"""The time that a command has to end after SIGTERM, before it is killed, s."""
_TAIL = 4096  # bytes of the standard error that are searched for its last line
_LINE = 200  # characters of that line that are told


class CommandProcess:
    """A command that runs with its own group of processes.

    Its program ends with reward_node, however that ends. Where reward_node is killed, what the program started goes on.

    Args:
        arguments: the program and its arguments.
        environment: what is added to the environment of this process.
        folder: the folder for what the command writes, in files that begin anew with each command.

    Raises:
        OSError: where the process or its files cannot be made.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.errors = folder / "reset_command_stderr.log"
        """The file with what the command writes to its standard error."""
        program = (sys.executable, "-m", "chunk_ppo_ros.runtime.supervised_program", str(os.getpid()))
        with (folder / "reset_command_stdout.log").open("wb") as output, self.errors.open("wb") as errors:
            self._process = subprocess.Popen(
                (*program, *arguments),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._kill_at: float | None = None

    def poll(self) -> int | None:
        """Returns the exit status, which is negative for a signal, or None while the command runs."""
        return self._process.poll()

    def last_line(self) -> str:
        """Returns the last line that the command wrote to its standard error, or an empty string.

        Control characters, which no message and no terminal should get, are left out, and so is the beginning of a long
        line.

        Raises:
            OSError: where the file is no longer there, or cannot be read.
        """
        with self.errors.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = file.read(_TAIL).decode(errors="replace").splitlines()
        printable = ("".join(filter(str.isprintable, line.replace("\t", " "))).strip() for line in reversed(lines))
        return next(filter(None, printable), "")[-_LINE:]

    def terminate(self, now: float) -> None:
        """Asks the command and all that it started to end. `now` is the time of a steady clock, s."""
        if self.poll() is None:
            self._kill_at = now + GRACE
            self._send(signal.SIGTERM)

    def has_ended(self, now: float) -> bool:
        """Returns whether a command that was asked to end has done so, and kills it where it does not."""
        if self._kill_at is None:
            return self.poll() is not None
        if self.poll() is None and now < self._kill_at:
            return False
        self._send(signal.SIGKILL)  # This also ends what the command has started and left behind.
        return self.poll() is not None

    def close(self, timeout: float) -> None:
        """Ends the command. It has `timeout` seconds to end by itself, and as many after it was killed."""
        self.terminate(time.monotonic())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        if self._kill_at is not None:
            self._send(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
