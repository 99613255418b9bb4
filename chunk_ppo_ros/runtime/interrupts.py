"""Ctrl-C in processes that are only starting: it ends them without a traceback, however early it comes.

Until Python has run a process's first lines, SIGINT raises KeyboardInterrupt somewhere in its imports. The parent
therefore starts it with SIGINT held, and the process lets it through once it has said what shall happen.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Processes that are started within get no SIGINT until they call `end_quietly`; it waits for this thread too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_quietly() -> None:
    """From here on SIGINT ends this process without a word, unless somebody handles it; so does one that was held."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
