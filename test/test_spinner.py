"""Tests how the rigs of nodes spin, and that nothing of a graph is left when its test has ended."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from std_msgs.msg import Int32

from support.spinner import Spinner

pytestmark = pytest.mark.graph

PERIOD = 0.001  # s
LATE = 0.01  # s, how long the timer's callback takes, so that the timer is always due

LEFT: list[weakref.ref[LifecycleNode]] = []
"""The nodes of the tests before."""


@pytest.fixture
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.mark.usefixtures("ros")
def test_a_timer_that_is_always_due_does_not_keep_messages_waiting() -> None:
    node = Node("slow", use_global_arguments=False)
    sent: list[int] = []
    heard: list[int] = []
    publisher = node.create_publisher(Int32, "count", 10)

    def send() -> None:
        sent.append(len(sent))
        publisher.publish(Int32(data=sent[-1]))
        time.sleep(LATE)

    node.create_subscription(Int32, "count", lambda message: heard.append(message.data), 10)
    node.create_timer(PERIOD, send)
    spinner = Spinner(node)
    while len(sent) < 20:
        spinner.spin(LATE)
    assert len(heard) >= 10
    spinner.close()


@pytest.mark.usefixtures("ros")
@pytest.mark.parametrize("turn", [1, 2])
def test_a_lifecycle_node_is_gone_after_its_test(turn: int) -> None:
    """rclpy keeps the DDS participant of such a node as long as the node has a reference to itself.

    Participants beyond some thirty in one domain of a machine do not find each other, and each takes five threads.
    """
    assert [reference() for reference in LEFT] == [None] * len(LEFT)
    node = LifecycleNode("left", use_global_arguments=False)
    LEFT.append(weakref.ref(node))
    spinner = Spinner(node)
    spinner.spin(0.01)
    spinner.close()
