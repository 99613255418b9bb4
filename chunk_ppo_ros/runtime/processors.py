"""Says how many processors a process may use, on which the last bits of an update depend."""

from __future__ import annotations

import os


def num_processors() -> int:
    """Returns the number of processors that this process may use, or 0 where the machine does not say it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
