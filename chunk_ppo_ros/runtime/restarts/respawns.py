"""Decides whether and how soon a node that has ended is started anew.

What counts is how many failures follow each other quickly. A node that lived on after its start has shown that a start
helps, so that the count begins anew.
"""

from __future__ import annotations

import dataclasses

MAX_RESPAWNS = 8
"""The number of times in a row that one node is started anew although it ends soon after each start."""
RESPAWN_DELAY = 1.0
"""The time before a node is started anew for the first time, s. It doubles with each failure that follows quickly."""
MAX_RESPAWN_DELAY = 30.0
"""The longest such time, s."""
SETTLED = 10.0
"""The time after a node said that it is up, after which it counts as one that lived on, s."""
RESPAWNED_WELL = 300.0
"""The time after its start after which a node counts as one that lived on, whether it said that it is up or not, s."""


@dataclasses.dataclass(frozen=True)
class Respawn:
    """A node is to be started anew.

    Attributes:
        number: how often it was started anew in a row with this time; 1 where it had lived on before it ended.
        delay: the time to wait before, s.
    """

    number: int
    delay: float


class RespawnCount:
    """Counts the failures of one node that follow each other quickly.

    Args:
        max_respawns: the number of times in a row that the node is started anew.
        first_delay: the time before the first of them, s.
    """

    def __init__(self, *, max_respawns: int | None = None, first_delay: float | None = None) -> None:
        self.max_respawns = MAX_RESPAWNS if max_respawns is None else max_respawns
        self._first_delay = RESPAWN_DELAY if first_delay is None else first_delay
        self._num_in_row = 0
        self._started: float | None = None

    def note_start(self, now: float) -> None:
        """Records that the node is started at `now`, s of steady time."""
        self._started = now

    def on_end(self, now: float, *, up_for: float | None) -> Respawn | None:
        """Returns how the node is started anew after it ended, or None where that has not helped.

        Args:
            now: when it ended, s of steady time.
            up_for: the time since it said that it is up, s, or None where it has not.
        """
        if self._lived_on(now, up_for):
            self._num_in_row = 0
        if self._num_in_row >= self.max_respawns:
            return None
        delay = min(self._first_delay * 2**self._num_in_row, MAX_RESPAWN_DELAY)
        self._num_in_row += 1
        return Respawn(self._num_in_row, delay)

    def _lived_on(self, now: float, up_for: float | None) -> bool:
        is_settled = up_for is not None and up_for >= SETTLED
        return is_settled or (self._started is not None and now - self._started >= RESPAWNED_WELL)
