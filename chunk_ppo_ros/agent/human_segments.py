"""What a human drives, joined with what the sensors said before: segments that wait to become chunks.

robot_node says when a segment begins (`takeover_state`) and, when it has ended, what was commanded
(`execution_result`). The observation of a segment is the newest whose readings are all older than its start. Nothing
here imports ROS.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

REMEMBERED_READINGS = 32
"""The number of sets of readings that are kept, at most one for each message of a sensor. They span about 0.2 s, which
is far longer than takeover_state travels."""
MAX_AGE = 150_000_000
"""How old an observation may be when its segment begins, ns: some periods of the cameras."""
MAX_WAITING = 8
"""The number of segments that may wait to become chunks, for example while weights are loaded. Where there are more,
the oldest are dropped."""


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """A segment that has ended. No segment equals another.

    Attributes:
        stamp: the ROS time of its start in ns, which identifies it.
        readings: what the sensors said before it began.
        commanded: float32 [k, D], the targets that were sent; rad, grippers normalized.
    """

    stamp: int
    readings: SyncedSensors
    commanded: np.ndarray


class HumanSegments:
    """The segments of the running episode, by stamp. What begins and what ends one may arrive in any order."""

    def __init__(self) -> None:
        self._readings: collections.deque[SyncedSensors] = collections.deque(maxlen=REMEMBERED_READINGS)
        self._open: dict[int, SyncedSensors] = {}
        self._ended: collections.deque[Segment] = collections.deque(maxlen=MAX_WAITING)
        self._newest_begun = 0  # the stamp of the newest segment that began
        self._newest_over = 0  # the stamp of the newest segment that has ended or is forgotten

    @property
    def next(self) -> Segment | None:
        """The oldest segment that has ended and is no chunk yet."""
        return self._ended[0] if self._ended else None

    @property
    def has_open(self) -> bool:
        """Whether a segment has begun and robot_node has not said yet what was driven."""
        return bool(self._open)

    def add_readings(self, readings: SyncedSensors) -> None:
        """Keeps what the sensors say now: it may be the observation that a segment begins with."""
        self._readings.append(readings)

    def begin(self, stamp: int) -> None:
        """A segment begins. A segment that is known already changes nothing.

        A segment without an observation is not waited for. It can be no chunk, and its end may have been published
        before anybody listened here, since robot_node names its newest segment to whoever comes.
        """
        self._newest_begun = max(self._newest_begun, stamp)
        if stamp > self._newest_over and stamp not in self._open:
            before = [item for item in self._readings if stamp - MAX_AGE <= item.stamp and item.newest <= stamp]
            if before:
                self._open[stamp] = before[-1]

    def end(self, stamp: int, commanded: np.ndarray) -> str:
        """A segment has ended. A segment that is over with its episode changes nothing.

        Args:
            stamp: the stamp of the segment, ns of ROS time.
            commanded: float32 [k, D], the targets that were sent; rad, grippers normalized.

        Returns:
            Why a segment can be no chunk. Empty where all segments can.
        """
        self.begin(stamp)
        readings = self._open.pop(stamp, None)
        if readings is None and stamp <= self._newest_over:
            return ""
        self._newest_over = max(self._newest_over, stamp)
        if readings is None:
            return "the sensors gave no observation just before it"
        full = len(self._ended) == MAX_WAITING
        self._ended.append(Segment(stamp, readings, commanded))
        return f"more than {MAX_WAITING} segments wait for the policy" if full else ""

    def drop_oldest(self) -> None:
        """Forgets the oldest segment that has ended: it has become a chunk, or cannot."""
        self._ended.popleft()

    def clear(self) -> None:
        """Forgets all segments, because their episode is over."""
        self._newest_over = max(self._newest_over, self._newest_begun)
        self._open.clear()
        self._ended.clear()
