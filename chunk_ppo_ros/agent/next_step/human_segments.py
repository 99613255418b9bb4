"""Joins each segment that a human drives with the sensor readings before it. Ended segments wait to become chunks.

robot_node publishes when a segment begins (`takeover_state`) and, after its end, which targets were commanded
(`execution_result`). The observation of a segment is the newest one whose readings are all older than its start.
Nothing here imports ROS.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.core.stamps import FARTHEST_AHEAD
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

REMEMBERED_READINGS = 32
"""The number of sets of readings that are kept, at most one for each message of a sensor. They span about 0.2 s.
takeover_state arrives much faster than that."""
MAX_AGE = 150_000_000
"""The greatest age of an observation at the start of its segment, ns. It is a few periods of the cameras."""
MAX_WAITING = 8
"""The number of segments that may wait to become chunks, for example while weights are loaded. If there are more, the
oldest are dropped."""


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """A segment that a human drove and that has ended. No segment equals another.

    Attributes:
        stamp: the ROS time of its start in ns, which identifies it.
        readings: the sensor readings before it began.
        commanded: float32 [k, D], the targets that were sent, in rad with normalized grippers.
    """

    stamp: int
    readings: SyncedSensors
    commanded: np.ndarray


class HumanSegments:
    """The segments of the running episode, by stamp. The messages on start and end may arrive in any order.

    Args:
        newest_over: the stamp of the newest chunk of an earlier process, ns of ROS time. Segments until then are over.
    """

    def __init__(self, *, newest_over: int = 0) -> None:
        self._readings: collections.deque[SyncedSensors] = collections.deque(maxlen=REMEMBERED_READINGS)
        self._open: dict[int, SyncedSensors] = {}
        self._ended: collections.deque[Segment] = collections.deque(maxlen=MAX_WAITING)
        self._newest_begun = 0  # the stamp of the newest segment that began
        self._newest_over = newest_over  # the stamp of the newest segment that has ended or is forgotten

    @property
    def next(self) -> Segment | None:
        """The oldest segment that has ended and is not a chunk yet, or None."""
        return self._ended[0] if self._ended else None

    @property
    def has_open(self) -> bool:
        """Whether a segment has begun and robot_node has not yet reported what was commanded."""
        return bool(self._open)

    def note_clock(self, now: int) -> None:
        """Records the ROS time, ns. Segments that are over later than now were stamped by a clock that was set back."""
        if max(self._newest_begun, self._newest_over) > now + FARTHEST_AHEAD:
            self._newest_begun = self._newest_over = now

    def add_readings(self, readings: SyncedSensors) -> None:
        """Keeps the newest sensor readings, because a segment may begin with them as its observation."""
        self._readings.append(readings)

    def restore(self, stamp: int, readings: SyncedSensors) -> None:
        """Takes a segment that began while an earlier process ran, with the readings before it."""
        self._newest_begun = max(self._newest_begun, stamp)
        self._open[stamp] = readings

    def begin(self, stamp: int) -> SyncedSensors | None:
        """Records that a segment begins. A stamp that is known already changes nothing.

        A segment without an observation is forgotten at once, because it cannot become a chunk. Its end may never
        arrive: a late subscriber still gets the start of robot_node's newest segment, but not its end.

        Returns:
            The readings before the segment, or None where it is known or has none.
        """
        self._newest_begun = max(self._newest_begun, stamp)
        if stamp > self._newest_over and stamp not in self._open:
            before = [item for item in self._readings if stamp - MAX_AGE <= item.stamp and item.newest <= stamp]
            if before:
                self._open[stamp] = before[-1]
                return before[-1]
        return None

    def end(self, stamp: int, commanded: np.ndarray) -> str:
        """Records that a segment has ended. A segment of an earlier episode changes nothing.

        Args:
            stamp: the stamp of the segment, ns of ROS time.
            commanded: float32 [k, D], the targets that were sent, in rad with normalized grippers. Where no step counts
                there is none, and the segment becomes no chunk.

        Returns:
            Why a segment cannot become a chunk. The text is empty if all segments can.
        """
        self.begin(stamp)
        readings = self._open.pop(stamp, None)
        if readings is None and stamp <= self._newest_over:
            return ""
        self._newest_over = max(self._newest_over, stamp)
        if not len(commanded):
            return ""
        if readings is None:
            return "the sensors gave no observation just before it"
        full = len(self._ended) == MAX_WAITING
        self._ended.append(Segment(stamp, readings, commanded))
        return f"more than {MAX_WAITING} segments wait for the policy" if full else ""

    def drop_oldest(self) -> None:
        """Forgets the oldest segment that has ended, because it has become a chunk or cannot become one."""
        self._ended.popleft()

    def clear(self) -> None:
        """Forgets all segments, because their episode is over."""
        self._newest_over = max(self._newest_over, self._newest_begun)
        self._open.clear()
        self._ended.clear()
