"""Makes a pool of worker processes that ends at once, with its tasks, when the caller is interrupted or killed."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import os
import signal

from chunk_ppo_ros.runtime import interrupts
from chunk_ppo_ros.runtime.supervised import die_with_parent


def worker_pool(workers: int) -> multiprocessing.pool.Pool:
    """Returns a context manager of `workers` fresh processes, which end when the context is left, also by an error.

    The workers ignore Ctrl-C and leave it to the caller, so that they print no traceback at an interrupt.
    """
    with interrupts.held():
        return multiprocessing.get_context("spawn").Pool(workers, initializer=_prepare, initargs=(os.getpid(),))


def _prepare(parent_id: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent_id)
