"""Spoils the joint states that a driver publishes."""

from __future__ import annotations

import collections
import copy
import math
from collections.abc import Iterable

from sensor_msgs.msg import JointState

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.wire.arrays import time_from_ns, time_to_ns

DELAY = 0.45
"""The time by which delayed joint states are late, s."""
CLOCK_STEP = 3.0
"""The step of a driver's clock, s."""
STAMP_STEPS = {"clock_ahead": CLOCK_STEP, "clock_behind": -CLOCK_STEP, "forged_stamp": 2.0e8}
"""How far the stamps of each of these faults are ahead, s."""
MANY = 20_000
"""The number of joints in a message that is too large."""


class StateFault:
    """Spoils the messages of one arm while it has a fault."""

    def __init__(self) -> None:
        self.kind = ""
        self._frozen: JointState | None = None
        self._late: collections.deque[tuple[float, JointState]] = collections.deque()
        self._held: JointState | None = None
        self._num_sent = 0

    def begin(self, kind: str) -> None:
        """Begins a fault, or ends it where `kind` is empty."""
        self.kind = kind
        self._frozen = self._held = None
        self._late.clear()

    def apply(self, message: JointState, now: float) -> Iterable[JointState]:
        """Returns the messages that are published in the place of `message` at `now`, steady s."""
        self._num_sent += 1
        if self.kind == "delayed":
            return self._delay(copy.deepcopy(message), now)
        if self.kind == "reordered":
            return self._reorder(copy.deepcopy(message))
        if self.kind == "cut":
            return []
        if self.kind == "duplicated":
            return [message, message, message]
        return [self._spoil(message)]

    def _delay(self, message: JointState, now: float) -> list[JointState]:
        self._late.append((now + DELAY, message))
        due = []
        while self._late and self._late[0][0] <= now:
            due.append(self._late.popleft()[1])
        return due

    def _reorder(self, message: JointState) -> list[JointState]:
        if self._held is None:
            self._held = message
            return []
        first, self._held = self._held, None
        return [message, first]

    def _spoil(self, message: JointState) -> JointState:
        size = len(message.position)
        if self.kind == "frozen":
            self._frozen = self._frozen or copy.deepcopy(message)
            message.position = list(self._frozen.position)
        elif self.kind == "leaping":
            message.position = [value + (1.5 if self._num_sent % 2 else -0.1) for value in message.position]
        elif self.kind in ("minus_pi", "zero", "nan"):
            message.position = [{"minus_pi": -math.pi, "zero": 0.0, "nan": math.nan}[self.kind]] * size
        elif self.kind == "renamed":
            message.name = [f"old_{name}" for name in message.name]
        elif self.kind == "oversized":
            message.name = [f"joint_{number}" for number in range(MANY)]
            message.position = [0.0] * MANY
        elif self.kind in STAMP_STEPS:
            step = STAMP_STEPS[self.kind]
            message.header.stamp = time_from_ns(time_to_ns(message.header.stamp) + round(step * NANOSECONDS))
        return message
