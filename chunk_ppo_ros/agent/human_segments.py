"""What a human drives, joined with what the sensors said before: segments that wait to become chunks.

robot_node tells when a segment begins (`takeover_state`) and, when it has ended, what was commanded
(`execution_result`). The observation of a segment is the newest whose readings are all older than its start. No ROS
here.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

REMEMBERED_READINGS = 32
"""Sets of readings, at most one for each message of a sensor: about 0.2 s, far longer than takeover_state travels."""
MAX_AGE = 150_000_000
"""Of an observation when its segment begins, ns: some periods of the cameras."""
MAX_WAITING = 8
"""Segments that wait to become chunks, for example while weights are loaded; of more, the oldest are dropped."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment that has ended.

    Attributes:
        stamp: names it, ns of ROS time, at its start.
        readings: what the sensors said before.
        commanded: float32 [k, D], the targets that were sent; rad, grippers normalised.
    """

    stamp: int
    readings: SyncedSensors
    commanded: np.ndarray


class HumanSegments:
    """Segments of the running episode, by stamp; each is told to begin and to end, in any order of arrival."""

    def __init__(self) -> None:
        self._seen: collections.deque[SyncedSensors] = collections.deque(maxlen=REMEMBERED_READINGS)
        self._open: dict[int, SyncedSensors] = {}
        self._ended: collections.deque[Segment] = collections.deque(maxlen=MAX_WAITING)
        self._newest_begun = 0  # stamp of the newest segment that was told of
        self._newest_over = 0  # likewise, that has ended or is forgotten

    @property
    def next(self) -> Segment | None:
        """The oldest segment that has ended and is no chunk yet."""
        return self._ended[0] if self._ended else None

    @property
    def one_is_open(self) -> bool:
        """Whether a segment has begun and robot_node has not said yet what was driven."""
        return bool(self._open)

    def see(self, readings: SyncedSensors) -> None:
        """Takes what the sensors say now."""
        self._seen.append(readings)

    def begin(self, stamp: int) -> None:
        """A segment begins; one that is known changes nothing.

        One without an observation is not waited for: it can be no chunk, and its end may have been told before anybody
        listened here, since robot_node names its newest segment to whoever comes.
        """
        self._newest_begun = max(self._newest_begun, stamp)
        if stamp > self._newest_over and stamp not in self._open:
            before = [seen for seen in self._seen if stamp - MAX_AGE <= seen.stamp and seen.newest <= stamp]
            if before:
                self._open[stamp] = before[-1]

    def end(self, stamp: int, commanded: np.ndarray) -> str:
        """A segment has ended; one that is over with its episode changes nothing.

        Args:
            stamp: of the segment.
            commanded: float32 [k, D].

        Returns:
            Why a segment can be no chunk; empty where all can.
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

    def done(self) -> None:
        """The oldest segment has become a chunk, or cannot."""
        self._ended.popleft()

    def clear(self) -> None:
        """Forgets all segments: their episode is over."""
        self._newest_over = max(self._newest_over, self._newest_begun)
        self._open.clear()
        self._ended.clear()
