"""Gives stamps that no chunk or segment had before, also where the clock is set back, and reads stamps of messages."""

from __future__ import annotations

import struct

from chunk_ppo_ros.core.units import NANOSECONDS

FARTHEST_AHEAD = NANOSECONDS // 10
"""The time by which a stamp may be ahead of the clock, ns. A stamp that is farther ahead is of a clock that was set
back since."""
NUM_REMEMBERED = 4096
"""The number of stamps that are not given again."""


def stamp_of(data: bytes) -> int:
    """Returns the stamp of a serialized message that begins with a Header, ns, without deserializing the rest.

    The first four bytes say how the rest is serialized; the second is 1 for little-endian numbers. Then come the
    seconds, int32, and the nanoseconds, uint32.
    """
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


class StampSource:
    """Gives stamps in ROS time, ns. Each is newer than the ones before, unless the clock was set back."""

    def __init__(self) -> None:
        self._newest = 0
        self._used: dict[int, None] = {0: None}  # A dict keeps their order. The stamp 0 stands for none.

    def note(self, stamp: int) -> None:
        """Records a stamp that another node has given."""
        self._newest = stamp
        self._used[stamp] = None
        if len(self._used) > NUM_REMEMBERED:
            del self._used[next(iter(self._used))]

    def next(self, now: int, *, offset: int = 0) -> int:
        """Returns a stamp that was not used before.

        Args:
            now: the ROS time, ns.
            offset: the least time by which the stamp is later than `now` and than the stamp before, ns.
        """
        ahead = self._newest - now
        stamp = (self._newest if 0 <= ahead <= FARTHEST_AHEAD else now) + offset
        while stamp in self._used:
            stamp += 1
        self.note(stamp)
        return stamp
