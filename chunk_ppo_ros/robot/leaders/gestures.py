"""Reads what a person says by closing the grippers of both leaders.

`now` is the time of a steady clock in s. An opening is 0 for a closed gripper and 1 for an open one.
"""

from __future__ import annotations

from collections.abc import Mapping

from chunk_ppo_ros.robot import aloha

CLOSED = 0.25
"""The opening at which an open gripper counts as closed."""
OPEN = 0.5
"""The opening at which a closed gripper counts as open again."""
DEBOUNCE_TIME = 0.06
"""The seconds for which a gripper must be beyond the other opening before it counts. One reading says nothing."""
GRIP_TIME = 0.5
"""The seconds for which both grippers must be closed to say that a person holds the leaders."""
SQUEEZE_TIME = 2.0
"""The longest time between the first and the second closing of both grippers that together end a reset, s."""
GRIP = f"open both leader grippers, and close them for {GRIP_TIME:g} s"
SQUEEZE = f"close both leader grippers twice within {SQUEEZE_TIME:g} s"


class _Switch:
    """Knows whether one gripper is closed, or open, or that neither is known."""

    def __init__(self) -> None:
        self.is_closed: bool | None = None
        self._differs_since: float | None = None

    def update(self, opening: float | None, now: float) -> None:
        """Takes an opening, or None where it is not known."""
        if opening is None:
            self.is_closed, self._differs_since = None, None
            return
        between = CLOSED < opening < OPEN
        seems_closed = self.is_closed if between else opening <= CLOSED
        if seems_closed == self.is_closed:
            self._differs_since = None
            return
        self._differs_since = now if self._differs_since is None else self._differs_since
        if now - self._differs_since >= DEBOUNCE_TIME:
            self.is_closed, self._differs_since = seems_closed, None


class GripperGestures:
    """Recognizes that both grippers stay closed, and that both are closed twice."""

    def __init__(self) -> None:
        self._switches = {side: _Switch() for side in aloha.SIDES}
        self._seen_open: set[str] = set()  # the grippers that were open since `restart`
        self._closed_since: float | None = None  # both
        self._reopened: set[str] = set()  # the grippers that were open since the last squeeze
        self._last_squeeze: float | None = None
        self._has_squeezed_twice = False
        self._now = 0.0

    @property
    def is_gripped(self) -> bool:
        """Whether both grippers have been closed for `GRIP_TIME`, after each was open since `restart`."""
        return self._closed_since is not None and self._now - self._closed_since >= GRIP_TIME

    @property
    def has_squeezed_twice(self) -> bool:
        """Whether both grippers were closed twice within `SQUEEZE_TIME` since `restart`, each time from open."""
        return self._has_squeezed_twice

    def restart(self) -> None:
        """Forgets all gestures. A gripper that is closed now must be opened before it counts again.

        Otherwise leaders that nobody holds, and whose grippers were left closed, would count as gripped.
        """
        self._closed_since = self._last_squeeze = None
        self._has_squeezed_twice = False
        self._seen_open.clear()
        self._reopened.clear()

    def observe(self, openings: Mapping[str, float | None], now: float) -> None:
        """Takes the opening of each leader's gripper, or None where it is not known.

        Args:
            openings: by side, 0..1.
            now: the steady time, s.
        """
        self._now = now
        for side, switch in self._switches.items():
            switch.update(openings.get(side), now)
        are_open = {side for side, switch in self._switches.items() if switch.is_closed is False}
        self._seen_open |= are_open
        self._reopened |= are_open
        if not all(switch.is_closed for switch in self._switches.values()):
            self._closed_since = None
            return
        if self._closed_since is None and len(self._seen_open) == len(self._switches):
            self._closed_since = now
        if len(self._reopened) == len(self._switches):
            self._note_squeeze(now)

    def _note_squeeze(self, now: float) -> None:
        self._reopened.clear()
        if self._last_squeeze is not None and now - self._last_squeeze <= SQUEEZE_TIME:
            self._has_squeezed_twice = True
        self._last_squeeze = now
