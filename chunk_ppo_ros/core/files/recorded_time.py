"""Hands the time of a recording to a process that replays it, by a file that both have mapped into memory.

A process reads it as its steady time where its environment names the file. Others have the clock of the system.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "CHUNK_PPO_RECORDED_TIME"
"""The variable of the environment that names the file."""
_SECONDS = struct.Struct("<d")


class RecordedTime:
    """Sets the time of the processes that replay a recording.

    Args:
        path: the file, which is made anew.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(_SECONDS.pack(0.0))
        self.environment = {VARIABLE: str(path)}
        """The variable that the processes need."""
        self._memory = _mapped(path)

    def set(self, seconds: float) -> None:
        """Sets the time, s. It must not go back."""
        _SECONDS.pack_into(self._memory, 0, seconds)


def steady_time() -> Callable[[], float]:
    """Returns a function that returns the steady time of this process, s, which is that of a recording in a replay."""
    name = os.environ.get(VARIABLE)
    if not name:
        return time.monotonic
    memory = _mapped(Path(name))

    def recorded() -> float:
        (seconds,) = _SECONDS.unpack_from(memory, 0)
        return float(seconds)

    return recorded


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _SECONDS.size)
