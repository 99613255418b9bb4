"""Makes a node in a context of its own, for tests of the parts that a node owns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import rclpy
from rclpy.node import Node


@contextlib.contextmanager
def lone_node() -> Iterator[Node]:
    """Yields a node that nobody spins, and destroys it with the context."""
    context = rclpy.context.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("node_under_test", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()
