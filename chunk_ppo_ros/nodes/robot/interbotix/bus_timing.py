"""Judges whether the serial bus of an arm is fast enough for the control rate. Nothing here knows ROS."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

SLOW_READ = 0.008
"""The median of a register's round trip beyond which the USB adapter is taken for slow, s.

An adapter with a `latency_timer` of 16 ms holds each answer of a motor back for up to this time, and one of 1 ms does
not.
"""
FEWEST = 5
"""The fewest times that are judged."""
SLOW_STATES = 1.2
"""The part of the control period beyond which the median period of joint states is too long."""
LONG_GAP = 3.0
"""The number of control periods beyond which the gaps between joint states are too long."""

LATENCY = (
    "set the latency_timer of its USB adapter to 1 ms: "
    "`echo 1 | sudo tee /sys/bus/usb-serial/devices/ttyUSB*/latency_timer`, or by Interbotix's udev rules"
)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Holds how some times are spread.

    Attributes:
        count: their number.
        median: the median, s.
        p95: the 95th percentile, s.
    """

    count: int
    median: float
    p95: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Spread:
        """Returns the spread of times, s. Without times it is NaN."""
        if not len(times):
            return cls(0, np.nan, np.nan)
        return cls(len(times), float(np.median(times)), float(np.percentile(times, 95)))

    def __str__(self) -> str:
        if not self.count:
            return "not measured"
        return f"{1e3 * self.median:.1f} ms median, {1e3 * self.p95:.1f} ms p95 of {self.count}"


def advice(reads: Spread, periods: Spread, *, control_period: float) -> str:
    """Returns what to do where the bus is too slow for the control rate, or an empty string.

    Args:
        reads: the round trips of single registers.
        periods: the times between two joint states.
        control_period: the time between two commands, s.
    """
    if reads.count >= FEWEST and reads.median > SLOW_READ:
        return f"a register takes {1e3 * reads.median:.0f} ms, too long for {1 / control_period:.0f} Hz; {LATENCY}"
    if periods.count < FEWEST:
        return ""
    if periods.median > SLOW_STATES * control_period:
        return (
            f"joint states come at {1 / periods.median:.0f} Hz, and commands go at {1 / control_period:.0f} Hz; see "
            "`update_rate` in the driver's motor configuration, and that nothing else reads the motors"
        )
    if periods.p95 > LONG_GAP * control_period:
        return f"gaps of {1e3 * periods.p95:.0f} ms between joint states; see that nothing else reads the motors"
    return ""
