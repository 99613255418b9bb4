"""Lets Ctrl-C end processes that are only starting, without a traceback and however early it comes.

Until Python has run the first lines of a process, SIGINT raises KeyboardInterrupt somewhere in its imports. Therefore
the parent starts the process with SIGINT held back. The process admits SIGINT once it has chosen how to handle it.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Holds SIGINT back from this thread, and from processes started within until they call `end_quietly`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_quietly() -> None:
    """Lets SIGINT end this process silently from now on, unless code handles it. That includes a SIGINT held before."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
