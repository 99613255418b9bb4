"""Spins nodes in one executor until something has happened, or for some seconds."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from support.patience import PATIENCE

_POLL = 0.02
"""The longest time between two looks at a condition, s.

It is always the same: an rclpy executor forgets which callbacks are ready when its timeout changes, and calls only the
first one again. A timer that is always late would keep the subscriptions waiting for as long as that goes on.
"""


class Spinner:
    """Nodes that are spun in turn, in the thread of the test.

    Args:
        nodes: the nodes.
        context: their ROS context, or None for the default one.
    """

    def __init__(self, *nodes: Node, context: Context | None = None) -> None:
        self._executor = SingleThreadedExecutor(context=context)
        self.nodes: list[Node] = []
        for node in nodes:
            self.add(node)

    def add(self, node: Any) -> Any:
        """Spins a node too, and returns it."""
        self.nodes.append(node)
        self._executor.add_node(node)
        return node

    def remove(self, node: Node) -> None:
        """Destroys a node, as if its process had died."""
        self.nodes.remove(node)
        self._executor.remove_node(node)
        node.destroy_node()

    def until(self, condition: Callable[[], object], *, timeout: float = PATIENCE) -> None:
        """Spins until a condition holds. Fails if it does not hold in time, and raises the failure of a node."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"waited {timeout} s in vain; {self.seen()}"
            self._executor.spin_once(timeout_sec=_POLL)
            for failure in filter(None, (getattr(node, "failure", None) for node in self.nodes)):
                raise failure

    def spin(self, seconds: float) -> None:
        """Spins for some seconds, to see that nothing happens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=_POLL)

    def seen(self) -> str:
        """Returns what was seen so far, for the text of a failure."""
        return "nothing is known of what happened"

    def close(self) -> None:
        """Destroys all nodes, the newest first."""
        self._executor.shutdown()
        for node in reversed(self.nodes):
            node.destroy_node()


@contextlib.contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Spins a node in a thread of its own until the block ends, and destroys it.

    The thread ends before the executor is shut down. A callback that ended after that would use what is destroyed.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set() and executor.context.ok():
            executor.spin_once(timeout_sec=_POLL)

    thread = threading.Thread(target=spin, name=node.get_fully_qualified_name())
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
