"""Tests that a recorder does not count as somebody who acts on messages."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.nodes.command_line.graph_view import node_name
from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD, Listeners
from support.fake_node import FakeNode, FakePublisher, SteadyClock


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


def listeners(node: FakeNode, *topics: str) -> tuple[Listeners, list[FakePublisher], SteadyClock]:
    publishers, clock = [FakePublisher(topic) for topic in topics], SteadyClock()
    return Listeners(node, publishers, clock=clock.monotonic), publishers, clock  # type: ignore[arg-type]


def test_a_topic_without_subscriptions_is_unheard(node: FakeNode) -> None:
    heard, publishers, _ = listeners(node, "/a", "/b")
    assert heard.unheard() == ()
    publishers[1].num_subscribers = 0
    assert heard.unheard() == ("/b",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(node_name(), id="our command"),  # Its name has the number of the process.
        *("recorder_node", "view_node", "rosbag2_recorder", "_ros2cli_4711", "foxglove_bridge"),
    ],
)
def test_a_recorder_goes_on_where_the_controller_died(node: FakeNode, name: str) -> None:
    heard, (publisher,), _ = listeners(node, "/a")
    node.listening["/a"], publisher.num_subscribers = [name, "arm_controller"], 2
    assert heard.unheard() == ()
    node.listening["/a"], publisher.num_subscribers = [name], 1
    assert heard.unheard() == ("/a",)


def test_the_names_are_looked_at_again_where_as_many_listen(node: FakeNode) -> None:
    heard, _, clock = listeners(node, "/a")
    assert heard.unheard() == ()
    node.listening["/a"] = ["rosbag2_recorder"]
    clock.now += 0.9 * LOOK_PERIOD
    assert heard.unheard() == ()
    clock.now += 0.2 * LOOK_PERIOD
    assert heard.unheard() == ("/a",)
