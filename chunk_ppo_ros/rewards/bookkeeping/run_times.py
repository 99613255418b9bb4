"""Adds up where the time of a run goes, in seconds of a steady clock."""

from __future__ import annotations

import dataclasses
import enum


class Activity(enum.Enum):
    """Lists what a run does at a time. Each value is the name of its sum in `Times`; nothing is added up where idle."""

    IDLE = ""
    RESETTING = "resetting"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING_FOR_TRAINER = "waiting_for_trainer"


@dataclasses.dataclass(frozen=True)
class Times:
    """Holds the sums, s. RunTimes.msg says what each of them is.

    `wall` holds the whole time, and `motion` overlaps with the sums after it, which do not overlap.
    """

    wall: float = 0.0
    motion: float = 0.0
    resetting: float = 0.0
    ready: float = 0.0
    running: float = 0.0
    paused: float = 0.0
    waiting_for_trainer: float = 0.0


class RunTimes:
    """Adds up the times of a run.

    Args:
        times: the sums so far, of earlier starts of the run.
        now: the present time of a steady clock, s.
    """

    def __init__(self, times: Times = Times(), *, now: float) -> None:
        self._sums = dataclasses.asdict(times)
        self._since = now
        self._activity = Activity.IDLE
        self._moves = False

    @property
    def times(self) -> Times:
        """The sums up to the last call of `update`."""
        return Times(**self._sums)

    def update(self, activity: Activity, *, moves: bool, now: float) -> None:
        """Adds the time since the last call to what the run did since then.

        Args:
            activity: what the run does from now on.
            moves: whether the robot moves from now on, in a motion whose duration nobody will report.
            now: the present time, s.
        """
        elapsed = max(now - self._since, 0.0)
        self._sums["wall"] += elapsed
        if self._moves:
            self._sums["motion"] += elapsed
        if self._activity is not Activity.IDLE:
            self._sums[self._activity.value] += elapsed
        self._since, self._activity, self._moves = now, activity, moves

    def add_motion(self, duration: float) -> None:
        """Adds a motion whose duration (s) was reported, such as that of a chunk."""
        self._sums["motion"] += duration
