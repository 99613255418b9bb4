"""Checks that each stamp that was received has one result, and no more."""

from __future__ import annotations

import collections
from collections.abc import Callable

from chunk_ppo_ros.core.execution import ExecutionResult


class ResultCheck:
    """Counts the results of each stamp.

    Args:
        report: is called with the name of a broken rule and the numbers.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._sent: set[int] = set()
        self._results: collections.Counter[int] = collections.Counter()

    def sent(self, stamp: int) -> None:
        """Records that a half of the chunk of this stamp, ns, was delivered."""
        self._sent.add(stamp)

    def got(self, result: ExecutionResult, *, ahead: float, limit: float) -> None:
        """Judges a result.

        Args:
            result: the result.
            ahead: the time by which the stamp of a human's segment is ahead of the clock, s.
            limit: the time by which it may be, s.
        """
        self._results[result.stamp] += 1
        if self._results[result.stamp] > 1:
            self._report("double_results", f"{self._results[result.stamp]} results for {result.stamp}, now {result}")
        if ahead > limit:
            self._report("stamps_ahead", f"a segment has the stamp {result.stamp}, {ahead:.3f} s ahead of the clock")

    @property
    def outstanding(self) -> list[int]:
        """The stamps that were received and have no result yet, ns, in order."""
        return sorted(self._sent - set(self._results))

    def finish(self) -> None:
        """Reports the stamps without a result, at the end."""
        for stamp in self.outstanding:
            self._report("missing_results", f"no result for {stamp}")
