"""Tests which nodes the graph shows, has lost, or shows anew, by what a fake of the graph says."""

from __future__ import annotations

import dataclasses

import pytest

from chunk_ppo_ros.nodes.common.peers.presence import PresenceChange, PresenceWatch

TOPIC = "policy_version"
PATIENCE = 1.5


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """The parts of rclpy's TopicEndpointInfo that are read."""

    node_name: str
    endpoint_gid: list[int]


class Graph:
    """A node that sees the publishers of one topic."""

    def __init__(self) -> None:
        self.publishers: list[Endpoint] = []

    def get_publishers_info_by_topic(self, topic: str) -> list[Endpoint]:
        assert topic == TOPIC
        return self.publishers


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def watch(graph: Graph) -> PresenceWatch:
    return PresenceWatch(graph, [TOPIC], patience=PATIENCE)  # type: ignore[arg-type]


def test_the_first_appearance_of_a_node_is_no_change(graph: Graph, watch: PresenceWatch) -> None:
    graph.publishers = [Endpoint("trainer_node", [1])]
    assert watch.update(0.0) == []
    assert watch.update(100.0) == []


def test_a_node_that_leaves_and_comes_back_is_told_once_each(graph: Graph, watch: PresenceWatch) -> None:
    graph.publishers = [Endpoint("trainer_node", [1])]
    watch.update(0.0)
    graph.publishers = []
    assert watch.update(PATIENCE) == []
    assert watch.update(PATIENCE + 0.1) == [PresenceChange("trainer_node", present=False)]
    assert watch.update(PATIENCE + 0.2) == []
    graph.publishers = [Endpoint("trainer_node", [2])]
    assert watch.update(PATIENCE + 0.3) == [PresenceChange("trainer_node", present=True, is_anew=True)]
    assert watch.update(PATIENCE + 0.4) == []


def test_another_identity_means_that_the_node_was_started_anew(graph: Graph, watch: PresenceWatch) -> None:
    """A killed process stays in the graph beside the process that took its place."""
    graph.publishers = [Endpoint("trainer_node", [1])]
    watch.update(0.0)
    graph.publishers.append(Endpoint("trainer_node", [2]))
    assert watch.update(0.1) == [PresenceChange("trainer_node", present=True, is_anew=True)]
    assert watch.update(0.2) == []


def test_a_process_that_is_back_is_not_anew(graph: Graph, watch: PresenceWatch) -> None:
    graph.publishers = [Endpoint("trainer_node", [1])]
    watch.update(0.0)
    graph.publishers = []
    watch.update(PATIENCE + 0.1)
    graph.publishers = [Endpoint("trainer_node", [1])]
    assert watch.update(PATIENCE + 0.2) == [PresenceChange("trainer_node", present=True)]


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize(("identity", "is_anew"), [(1, False), (2, True)])
def test_a_process_that_an_earlier_one_has_known_is_compared_with_it(
    identity: int, is_anew: bool, seen_before: bool, graph: Graph, watch: PresenceWatch
) -> None:
    if seen_before:
        graph.publishers = [Endpoint("trainer_node", [identity])]
        assert watch.update(-0.1) == []
    watch.expect(TOPIC, "trainer_node", bytes([1]), now=0.0)
    assert watch.identities == {(TOPIC, "trainer_node"): bytes([1])}
    graph.publishers = [Endpoint("trainer_node", [identity])]
    expected = [PresenceChange("trainer_node", present=True, is_anew=True, is_first=True)] if is_anew else []
    assert watch.update(0.1) == expected
    assert watch.identities == {(TOPIC, "trainer_node"): bytes([identity])}


@pytest.mark.parametrize("placeholder", ["_NODE_NAME_UNKNOWN_", "_CREATED_BY_BARE_DDS_APP_"])
def test_a_publisher_whose_node_is_not_known_yet_is_no_node(
    graph: Graph, watch: PresenceWatch, placeholder: str
) -> None:
    """Discovery reports a publisher before it reports whose it is. The placeholder that stands there never leaves."""
    graph.publishers = [Endpoint(placeholder, [1])]
    assert watch.update(0.0) == []
    graph.publishers = [Endpoint("trainer_node", [1])]
    assert watch.update(1.0) == []
    assert watch.update(1.0 + 2 * PATIENCE) == []
