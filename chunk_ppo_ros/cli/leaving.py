"""Ends the process of a command with its exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import NoReturn, TextIO

from chunk_ppo_ros.cli.exit_codes import INTERRUPTED, OUTPUT_CLOSED
from chunk_ppo_ros.core.errors import RUNTIME_ERROR


def leave(status: int) -> NoReturn:
    """Ends the process. A Ctrl-C that comes while it ends gives INTERRUPTED too.

    After Ctrl-C it ends at once, because a thread in which XLA compiles can make Python crash while it ends.
    """
    if status == INTERRUPTED:
        signal.signal(signal.SIGINT, lambda *_: _end_at_once())
        gc.collect()  # The interrupt may hold semaphores of a pool in a cycle, of which Python would warn.
        _end_at_once()
    try:
        flush_output()
    except OSError as failure:
        status = after_output_failure(failure)
    signal.signal(signal.SIGINT, lambda *_: _end_at_once())
    sys.exit(status)


def flush_output() -> None:
    """Writes what is still in the buffer of standard output, which is None where the process was started without it.

    Raises:
        OSError: where it cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def is_of_output(error: OSError) -> bool:
    """Returns whether an error is about standard output. It writes a newline to it, where it must try that."""
    if isinstance(error, BrokenPipeError):
        return True
    if error.filename is not None or sys.stdout is None:
        return False
    try:
        flush_output()
        os.write(sys.stdout.fileno(), b"\n")  # What could not be written may be gone from the buffer.
    except OSError:
        return True
    return False


def after_output_failure(failure: OSError) -> int:
    """Drops what is still to be written to standard output, says why, and returns the exit code that follows.

    Nothing is said where nobody reads the output any more, as after `| head`.
    """
    _drop(sys.stdout)
    if isinstance(failure, BrokenPipeError):
        return OUTPUT_CLOSED
    try:
        print(f"standard output cannot be written: {failure.strerror}", file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)  # It is on the same full disk.
    return RUNTIME_ERROR


def _drop(stream: TextIO) -> None:
    """Makes a stream write to nowhere, so that what it still holds is no error when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end_at_once() -> NoReturn:
    with contextlib.suppress(OSError):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    os._exit(INTERRUPTED)
