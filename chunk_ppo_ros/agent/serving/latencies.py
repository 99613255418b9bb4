"""Counts answers and how long they took."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.wording.counts import count_of

MAX_KEPT = 100_000
"""The number of newest latencies that the figures are of."""


class Latencies:
    """The latencies of answers, ms."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self.num_answers = 0

    def add(self, milliseconds: float) -> None:
        """Takes note of an answer."""
        self.num_answers += 1
        self._values.append(milliseconds)
        del self._values[:-MAX_KEPT]

    def __str__(self) -> str:
        if not self._values:
            return "no chunk"
        median, high = np.percentile(self._values, (50, 99))
        return f"{count_of(self.num_answers, 'chunk')}, {median:.1f} ms (median), {high:.1f} ms (99 %)"
