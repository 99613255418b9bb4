"""Tests when the publishers of a topic are looked up again."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD
from chunk_ppo_ros.nodes.common.peers.topic_publishers import TopicPublishers
from support.fake_node import FakeNode, SteadyClock

TOPIC = "/follower_left/joint_states"


class Graph(FakeNode):
    """A node that counts how often it is asked who publishes."""

    def __init__(self) -> None:
        super().__init__()
        self.num_looks = 0

    def get_publishers_info_by_topic(self, topic: str) -> list[object]:
        self.num_looks += 1
        return super().get_publishers_info_by_topic(topic)

    def resolve_topic_name(self, topic: str) -> str:
        return f"/{topic.lstrip('/')}"


@pytest.fixture
def graph() -> Graph:
    graph = Graph()
    graph.present[TOPIC] = ["xs_sdk"]
    return graph


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def publishers(graph: Graph, clock: SteadyClock) -> TopicPublishers:
    return TopicPublishers(graph, "follower_left/joint_states", clock=clock.monotonic)  # type: ignore[arg-type]


def test_the_graph_is_asked_once_as_long_as_nothing_changes(publishers: TopicPublishers, graph: Graph) -> None:
    for _ in range(100):
        assert (set(publishers.ids), set(publishers.nodes)) == ({b"xs_sdk"}, {"/xs_sdk"})
    assert graph.num_looks == 1


def test_a_publisher_that_comes_or_goes_is_noticed_at_once(publishers: TopicPublishers, graph: Graph) -> None:
    assert publishers.ids == {b"xs_sdk"}
    graph.present[TOPIC] = ["xs_sdk", "another"]
    assert publishers.nodes == {"/xs_sdk", "/another"}
    graph.present[TOPIC] = []
    assert publishers.ids == frozenset()


def test_one_that_comes_when_another_goes_is_noticed_within_a_second_or_by_its_first_message(
    publishers: TopicPublishers, graph: Graph, clock: SteadyClock
) -> None:
    assert publishers.ids == {b"xs_sdk"}
    graph.gids["xs_sdk"] = b"anew"
    assert publishers.ids == {b"xs_sdk"}
    clock.now += LOOK_PERIOD
    assert publishers.ids == {b"anew"}
    graph.gids["xs_sdk"] = b"once more"
    publishers.note_sender(b"anew")  # A message that was on its way tells nothing new.
    publishers.note_sender(b"")
    assert publishers.ids == {b"anew"}
    publishers.note_sender(b"once more")
    assert publishers.ids == {b"once more"}


def test_a_node_whose_name_is_not_known_yet_is_looked_up_until_it_is(publishers: TopicPublishers, graph: Graph) -> None:
    graph.present[TOPIC] = ["_NODE_NAME_UNKNOWN_"]
    assert (set(publishers.ids), set(publishers.nodes)) == ({b"_NODE_NAME_UNKNOWN_"}, set())
    graph.present[TOPIC] = ["rival"]
    assert publishers.nodes == {"/rival"}
