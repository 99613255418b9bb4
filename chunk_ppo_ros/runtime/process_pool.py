"""Makes a pool of worker processes that ends at once, with its tasks, when the caller is interrupted or killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.pool
import os
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker

from chunk_ppo_ros.runtime import interrupts
from chunk_ppo_ros.runtime.supervised import die_with_parent


@contextlib.contextmanager
def worker_pool(workers: int) -> Iterator[multiprocessing.pool.Pool]:
    """Yields a pool of `workers` fresh processes, which end when the context is left, also by an error.

    The workers ignore Ctrl-C and leave it to the caller, so that they print no traceback at an interrupt. A Ctrl-C that
    comes while they are started is held back until the pool can be closed. Otherwise its semaphores would be left, and
    Python's resource tracker would warn of them. The tracker is started first, because its start admits SIGINT.
    """
    resource_tracker.ensure_running()
    with contextlib.ExitStack() as stack:
        with interrupts.held():
            context = multiprocessing.get_context("spawn")
            pool = context.Pool(workers, initializer=_prepare, initargs=(os.getpid(),))
            stack.enter_context(pool)
        yield pool


def _prepare(parent_id: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent_id)
