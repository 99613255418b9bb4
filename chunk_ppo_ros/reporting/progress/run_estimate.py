"""Estimates when a whole run ends."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.reporting.progress.durations import duration_text

_HALF_A_DAY, _YEAR = 12 * 3600.0, 365 * 24 * 3600.0
"""Times, s. The end of a run that takes longer than the first has its day, and beyond the second no end is told."""


class RunEstimate:
    """Estimates the end of a run from the pace of its updates. The first one is left out, because XLA compiles in it.

    An update that begins is made to its end, so that whole updates are counted.

    Args:
        total: control steps at which the run ends.
        clock: returns the steady time, s.
        now: returns the time of day.
    """

    def __init__(
        self,
        total: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        self._total, self._clock, self._now = total, clock, now
        self._first: tuple[float, int] | None = None
        self._num_updates = 0  # after the first one

    @property
    def is_first(self) -> bool:
        """Whether no update is made yet in this start of the run, so that XLA compiles in the next one."""
        return self._first is None

    def after_update(self, num_steps: int) -> str:
        """Returns how long the run still takes and when it ends; empty while that is not known.

        Args:
            num_steps: control steps that the run has trained on, those of earlier starts included.
        """
        if num_steps >= self._total:
            above = num_steps - self._total
            more = f"; the last rollout is a whole one, which makes {count_of(above, 'step')} more"
            return f"done{more if above else ''}"
        at = self._clock()
        if self._first is None:
            self._first = at, num_steps
        since, first = self._first
        self._num_updates += num_steps > first
        if not self._num_updates or num_steps <= first:
            return ""
        updates_left = math.ceil((self._total - num_steps) * self._num_updates / (num_steps - first))
        left = updates_left * (at - since) / self._num_updates
        if left >= _YEAR:
            return "more than a year left"
        ends = self._now() + datetime.timedelta(seconds=left)
        day = f"{ends:%Y-%m-%d} " if left >= _HALF_A_DAY else ""
        return f"about {duration_text(left)} left, until {day}{ends:%H:%M}"
