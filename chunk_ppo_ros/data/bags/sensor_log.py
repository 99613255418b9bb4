"""Keeps when a topic of a demonstration sent something, and checks the clocks of all topics against each other."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.units import NANOSECONDS

_MAX_BACK = 0.1
"""The most by which a stamp may be before an earlier message's, s. Messages may overtake each other by so much."""
_MAX_SKEW = 0.25
"""The most by which the clocks of two sensors may differ, s: the shortest time from stamp to recording of a topic
compared with that of another one. A camera takes less than this from its image to the recorder."""
_SAID_OFFSET = 1.0
"""The offset of all stamps from the times of recording, s, from which on it is said."""


@dataclasses.dataclass(frozen=True)
class SensorLog:
    """Holds the times of the messages of one topic, in the order in which they were recorded.

    Attributes:
        topic: the topic.
        stamps: int64 [n], the stamps of their headers, ns, or the times of recording where no header has a stamp.
        received: int64 [n], the times when they were recorded, ns.
        has_stamps: whether the headers have stamps.
    """

    topic: str
    stamps: np.ndarray
    received: np.ndarray
    has_stamps: bool = True

    @classmethod
    def of(cls, topic: str, times: Sequence[tuple[int, int]], bag: pathlib.Path) -> SensorLog:
        """Returns the log of messages whose stamps and times of recording are given, at least one.

        Raises:
            EpisodesError: where only some stamps are 0, or stamps go back.
        """
        stamps, received = np.array(times, np.int64).T
        if not stamps.any():
            return cls(topic, received, received, has_stamps=False)
        if not stamps.all():
            raise EpisodesError(
                f"all headers of a topic must have stamps, or none, got {np.count_nonzero(stamps == 0)} of "
                f"{len(stamps)} that are 0 on {topic} in {bag}; correct the driver and leave the recording out"
            )
        back = float(np.max(np.maximum.accumulate(stamps) - stamps)) / NANOSECONDS
        if back > _MAX_BACK:
            raise EpisodesError(
                f"stamps must go forward, got one that is {back:.3g} s before an earlier one on {topic} in {bag}; the "
                "clock was set, or several nodes publish the topic; leave the recording out"
            )
        return cls(topic, stamps, received)

    @property
    def delay(self) -> float:
        """The shortest time from a stamp to its recording, s."""
        return float(np.min(self.received - self.stamps)) / NANOSECONDS

    @property
    def rate(self) -> float:
        """The mean rate of the messages, Hz; 0 where there is only one."""
        span = float(np.max(self.stamps) - np.min(self.stamps)) / NANOSECONDS
        return (len(self.stamps) - 1) / span if span else 0.0


def check_clocks(logs: Sequence[SensorLog], bag: pathlib.Path) -> list[str]:
    """Returns sentences about the stamps of a demonstration's topics.

    Raises:
        EpisodesError: where the clocks of two topics differ.
    """
    logs = sorted(logs, key=lambda log: log.delay)
    first, last = logs[0], logs[-1]
    if last.delay - first.delay > _MAX_SKEW:
        raise EpisodesError(
            f"the stamps of all sensors must be of one clock, got stamps {last.delay:.4g} s before their recording on "
            f"{last.topic} and {first.delay:.4g} s on {first.topic} in {bag}; synchronize the clocks of the machines "
            "(chrony), correct the driver that stamps by another clock, and leave the recording out"
        )
    if abs(first.delay) > _SAID_OFFSET:
        return [f"all stamps are {first.delay:.4g} s before the times of recording, by a clock of their own"]
    return []
