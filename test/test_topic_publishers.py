"""Tests when the publishers of a topic are looked up again."""

from __future__ import annotations

import dataclasses

import pytest

from chunk_ppo_ros.nodes.common.interbotix_interfaces import DriverInterfaces
from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD
from chunk_ppo_ros.nodes.common.peers.topic_publishers import TopicPublishers
from chunk_ppo_ros.nodes.robot.leaders.leader_link import LeaderLink
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

    def get_fully_qualified_name(self) -> str:
        return "/robot_node"


@pytest.fixture
def graph() -> Graph:
    graph = Graph()
    graph.present[TOPIC] = ["xs_sdk"]
    return graph


@pytest.fixture
def interfaces() -> DriverInterfaces:
    return DriverInterfaces(**{field.name: object for field in dataclasses.fields(DriverInterfaces)})


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


@pytest.mark.parametrize("topic", ["commands/joint_group", "commands/joint_single"])
def test_a_rival_that_comes_as_another_node_goes_is_seen_at_the_next_look_at_a_leader(
    graph: Graph, interfaces: DriverInterfaces, topic: str
) -> None:
    link = LeaderLink(graph, "left", interfaces)  # type: ignore[arg-type]
    graph.present[f"/leader_left/{topic}"] = ["gravity_compensation"]
    assert (link.rivals(), link.has_gravity_node()) == ("", True)
    graph.present[f"/leader_left/{topic}"] = ["rival"]
    assert (link.rivals(), link.has_gravity_node()) == ("/rival", False)


def test_a_driver_that_was_started_again_is_seen_at_the_next_look_at_a_leader(
    graph: Graph, interfaces: DriverInterfaces
) -> None:
    link = LeaderLink(graph, "left", interfaces)  # type: ignore[arg-type]
    graph.present["/leader_left/joint_states"] = ["xs_sdk"]
    assert link.drivers() == {b"xs_sdk"}
    graph.gids["xs_sdk"] = b"anew"
    assert link.drivers() == {b"anew"}


def test_a_node_whose_name_is_not_known_yet_is_looked_up_until_it_is(publishers: TopicPublishers, graph: Graph) -> None:
    graph.present[TOPIC] = ["_NODE_NAME_UNKNOWN_"]
    assert (set(publishers.ids), set(publishers.nodes)) == ({b"_NODE_NAME_UNKNOWN_"}, set())
    graph.present[TOPIC] = ["rival"]
    assert publishers.nodes == {"/rival"}
