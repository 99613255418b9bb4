"""Counts the wall time of a run that one process makes, over all its starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.reporting.metrics_file import NewestRun
from chunk_ppo_ros.reporting.run_metrics import WALL, run_time_metrics


class RunClock:
    """Adds the time since the start of the process to the time of earlier starts, as their last record says it.

    Args:
        run_dir: the folder of the run, whose metrics file names the run already.
        since: the time at which this start began, s of the clock.
        clock: returns the steady time, s.
    """

    def __init__(self, run_dir: Path, *, since: float, clock: Callable[[], float] = time.monotonic) -> None:
        earlier = 0.0
        for record in NewestRun.find(run_dir).records():
            earlier = earlier if record.get(WALL) is None else record[WALL]
        self._since = since - earlier
        self._clock = clock

    def metrics(self) -> Metrics:
        """Returns the wall time of the run until now. The script form has no operator, so that nothing else is told."""
        return run_time_metrics({"wall": self._clock() - self._since})
