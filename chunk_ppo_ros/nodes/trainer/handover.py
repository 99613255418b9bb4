"""Hands calls from other threads over to the executor of a node."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node


class Handover:
    """Calls functions in the executor of a node, in the order in which other threads hand them over.

    Args:
        node: the node whose executor calls them.
    """

    def __init__(self, node: Node) -> None:
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._lock = threading.Lock()
        self._closed = False
        # EventsExecutor supports no guard conditions. A timer that is reset from any thread fires once instead.
        self._wake = node.create_timer(
            0.0, self._deliver, clock=Clock(clock_type=ClockType.STEADY_TIME), autostart=False
        )

    def __call__(self, call: Callable[[], None]) -> None:
        """Hands a function over. It may be called from any thread, and does nothing after `close`."""
        with self._lock:
            if not self._closed:
                self._calls.append(call)
                self._wake.reset()

    def close(self) -> None:
        """Takes nothing any more. It must be called before the node is destroyed."""
        with self._lock:
            self._closed = True

    def _deliver(self) -> None:
        self._wake.cancel()
        while self._calls:
            self._calls.popleft()()
