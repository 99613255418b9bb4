"""Has a separate process (`report_process.py`) write the page and the plot of a run while it trains."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import IO

from chunk_ppo_ros.reporting.report import SUMMARY_NAME, write_report
from chunk_ppo_ros.reporting.report_process import LOG_NAME

INTERVAL = 60.0
"""The least time between two pages of a run, s. Drawing a page takes about a second of one core."""

LAST_PAGE_TIMEOUT = 60.0
"""The longest time that the end of a run waits for its last page, s."""

_log = logging.getLogger(__name__)


class ReportWriter:
    """Writes the page of a run after updates, and once more at the end of the run, whatever ends it.

    The end of the `with` block waits for the last page. After an exception or Ctrl-C it does not wait. The other
    process then writes the page within seconds, even if this process has ended.

    Args:
        run_dir: folder of the run, with its metrics.
        interval: least time between two pages, s.
    """

    def __init__(self, run_dir: Path, *, interval: float = INTERVAL) -> None:
        self._run_dir = Path(run_dir)
        self._interval = interval
        self._process: subprocess.Popen[bytes] | None = None  # The first request starts it.
        self._is_over = False
        self._cannot_start = False

    def request(self) -> None:
        """Requests the page, which is written when it is due. Training never waits for it and never ends by it.

        Where the process cannot be started (a full disk, no memory), it logs the reason once, and `close` writes the
        page.
        """
        if self._is_over or self._cannot_start:
            return
        if self._process is None:
            try:
                self._process = self._start()
            except OSError as error:
                self._cannot_start = True
                _log.warning("the page of %s is written at the end only, because of: %s", self._run_dir, error)
                return
        if self._process.poll() is None:
            # The pipe is full of requests, or the process has just ended, which `close` reports.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(_input(self._process).fileno(), b"\n")

    def close(self) -> Path:
        """Waits for the last page and returns its path. Writes the page itself where the process could not.

        Raises:
            FileNotFoundError: when there are no metrics.
            ValueError: when the metrics cannot be read.
            OSError: when the folder cannot be written.
        """
        self.leave()
        if self._process is None:
            return write_report(self._run_dir, is_over=True)
        try:
            status = self._process.wait(LAST_PAGE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status:
            _log.warning("the process that writes the page ended with status %d: see %s", status, self._log_path)
            return write_report(self._run_dir, is_over=True)
        return self._run_dir / SUMMARY_NAME

    def leave(self) -> None:
        """Lets the process write the last page and end, and does not wait for it. A second call does nothing."""
        self._is_over = True
        if self._process is not None:
            _input(self._process).close()

    def __enter__(self) -> ReportWriter:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        """Calls `close` where the block ended normally, and `leave` after an exception."""
        if exception_type is None:
            self.close()
        else:
            self.leave()

    @property
    def _log_path(self) -> Path:
        return self._run_dir / LOG_NAME

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "chunk_ppo_ros.reporting.report_process"]
        command += [str(self._run_dir), str(self._interval)]
        # The new process must find the same packages as this one, also from a source tree.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with self._log_path.open("ab") as log:
            # In a session of its own, Ctrl-C does not reach the process. It ends when its input ends.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        os.set_blocking(_input(process).fileno(), False)
        return process


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Returns the pipe to a process.

    Raises:
        RuntimeError: where it was started without one.
    """
    if process.stdin is None:
        raise RuntimeError("the process must be started with a pipe for its input, got none")
    return process.stdin
