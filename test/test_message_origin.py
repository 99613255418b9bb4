"""Tests that a callback learns who sent a message and when, with every executor of rclpy."""

from __future__ import annotations

import time

import pytest
import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool

from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin

pytestmark = pytest.mark.graph


@pytest.mark.parametrize("make_executor", [make_step_executor, SingleThreadedExecutor])
@pytest.mark.parametrize("raw", [False, True])
def test_a_callback_gets_the_message_its_publisher_and_the_time_when_it_was_sent(
    make_executor: type[Executor], raw: bool
) -> None:
    got: list[tuple[object, MessageOrigin]] = []
    rclpy.init()
    try:
        node = Node("origins")
        callback = WithOrigin(lambda message, origin: got.append((message, origin)))
        node.create_subscription(Bool, "said", callback, 10, raw=raw)
        publisher = node.create_publisher(Bool, "said", 10)
        executor = make_executor()
        executor.add_node(node)
        before = time.time_ns()
        publisher.publish(Bool(data=True))
        deadline = time.monotonic() + 60.0
        while not got and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        (message, origin), (info,) = got[0], node.get_publishers_info_by_topic("/said")
        assert message == Bool(data=True) or (raw and isinstance(message, bytes))
        assert origin.publisher == bytes(info.endpoint_gid)
        assert before - 1_000_000_000 < origin.sent <= time.time_ns()
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.shutdown()
