"""Says whether a trainer_node that was started anew has heard which episodes were discarded while it was dead."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_WAIT = 5.0
"""The time for which an update waits for reward_node where nothing is heard of it, s of the steady clock."""
ARRIVAL_TIME = 0.5
"""The time after the first report of reward_node within which the other ones arrive, s of the steady clock."""


class FirstReports:
    """Lets the first update of stored transitions wait for the reports of reward_node.

    An operator may have discarded the episode of such a transition while no trainer_node was there. reward_node tells
    it to each new trainer_node, but a rollout that is restored as a whole is ready for its update before that.

    Args:
        clock: returns the steady time, s.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard_at: dict[str, float] = {}  # by run, when its first report arrived, steady s
        self._expected = ""  # the run whose reports are waited for
        self._since: float | None = None  # the time since which an update waits, steady s

    @property
    def waits(self) -> bool:
        """Whether an update waits, as far as `must_wait` has said."""
        return bool(self._expected) and self._since is not None

    def note(self, run_id: str) -> None:
        """Records that reward_node has told something of a run."""
        self._heard_at.setdefault(run_id, self._clock())

    def expect(self, run_id: str) -> None:
        """Lets the next update of a run wait, because it has transitions of an earlier process."""
        self._expected, self._since = run_id, None

    def must_wait(self) -> bool:
        """Returns whether an update that is due must wait. The wait begins with the first call."""
        if not self._expected:
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        heard_at = self._heard_at.get(self._expected)
        is_over = now - self._since >= LONGEST_WAIT or (heard_at is not None and now - heard_at >= ARRIVAL_TIME)
        if is_over:
            self._expected = ""
        return not is_over
