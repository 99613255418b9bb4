"""Keeps the policy from sampling chunk after chunk while robot_node refuses them."""

from __future__ import annotations

MAX_AT_ONCE = 2
"""The number of chunks in a row that may be refused before the policy waits."""
PAUSE = 1.0
"""The time for which the policy waits after each refusal from then on, s of the steady clock."""


class Refusals:
    """Counts the chunks that were refused in a row, as robot_node refuses them while it cannot move.

    The reason may pass within seconds, as where a clock has not heard of the simulated time. The episode is paused
    after ten such chunks, which would otherwise take a tenth of a second.
    """

    def __init__(self) -> None:
        self._in_row = 0
        self._newest_at = float("-inf")  # steady s

    def note(self, *, refused: bool, now: float) -> None:
        """Records how a chunk ended.

        Args:
            refused: whether it was refused.
            now: the time of the steady clock, s.
        """
        self._in_row = self._in_row + 1 if refused else 0
        self._newest_at = now

    def must_wait(self, now: float) -> bool:
        """Returns whether the policy must wait before it samples. `now` is steady s."""
        return self._in_row >= MAX_AT_ONCE and now - self._newest_at < PAUSE
