"""Makes sure that a Ctrl-C is not lost and causes no traceback, however early it comes.

Until Python has run the first lines of a process, SIGINT raises KeyboardInterrupt somewhere in its imports. Therefore
the parent starts the process with SIGINT held back. The process admits SIGINT once it has chosen how to handle it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator

RESEND_DELAY = 0.05
"""The time after which a Ctrl-C that Python dropped is sent again, s."""


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Holds SIGINT back from this thread, and from processes started within until they call `end_quietly`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def without_nohup(numbers: Iterable[signal.Signals]) -> tuple[signal.Signals, ...]:
    """Returns the signals without SIGHUP where this process was started by `nohup`, to go on without its terminal."""
    return tuple(
        number for number in numbers if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    )


def end_quietly() -> None:
    """Lets SIGINT end this process silently from now on, unless code handles it. That includes a SIGINT held before."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def resend_dropped() -> None:
    """Makes this process send SIGINT to itself again whenever Python drops the KeyboardInterrupt that it raised.

    Python drops every exception that is raised in `__del__` or in a callback of the garbage collector. JAX has such a
    callback, which runs many times a second while a policy trains, so that a Ctrl-C could have no effect.
    """
    report = sys.unraisablehook

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(RESEND_DELAY, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            report(unraisable)

    sys.unraisablehook = on_unraisable
