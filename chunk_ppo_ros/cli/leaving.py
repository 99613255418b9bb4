"""Ends the process of a command with its exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import NoReturn

from chunk_ppo_ros.cli.exit_codes import INTERRUPTED, OUTPUT_CLOSED


def leave(status: int) -> NoReturn:
    """Ends the process. A Ctrl-C that comes while it ends gives INTERRUPTED too.

    After Ctrl-C it ends at once, because a thread in which XLA compiles can make Python crash while it ends.
    """
    if status == INTERRUPTED:
        signal.signal(signal.SIGINT, lambda *_: _end_at_once())
        gc.collect()  # The interrupt may hold semaphores of a pool in a cycle, of which Python would warn.
        _end_at_once()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        close_output()
        status = OUTPUT_CLOSED
    signal.signal(signal.SIGINT, lambda *_: _end_at_once())
    sys.exit(status)


def close_output() -> None:
    """Drops what is still to be written to standard output, because nobody reads it any more, as after `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_at_once() -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
