"""Ends the pause after failures in a row where the robot is simulated, because nobody repairs it there."""

from __future__ import annotations

REPAIR_TIME = 30.0
"""The time for which a simulated robot is paused after too many failures in a row, s of the steady clock."""


class SimulatedRepair:
    """Says when a pause after failures is over.

    A node that was started anew can make several chunks fail, until all nodes know it. In a simulation the run would
    stand still from then on. A real robot waits for its operator.

    Args:
        is_real: whether the robot is a real one.
    """

    def __init__(self, *, is_real: bool) -> None:
        self._is_real = is_real
        self._since: float | None = None  # steady s

    def is_over(self, *, paused: bool, now: float) -> bool:
        """Returns whether the pause is over. It must be called at every tick.

        Args:
            paused: whether there is a pause after failures.
            now: the time of the steady clock, s.
        """
        if not paused or self._is_real:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        return now - self._since >= REPAIR_TIME
