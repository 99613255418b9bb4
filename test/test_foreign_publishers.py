"""Tests which nodes count as foreign publishers, by what a fake of the graph says."""

from __future__ import annotations

import dataclasses

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import ForeignPublishers, RunGuard
from support.fake_node import FakeNode


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """The parts of rclpy's TopicEndpointInfo that are read."""

    node_name: str
    node_namespace: str = "/"
    endpoint_gid: bytes = b"1"


class Graph(FakeNode):
    """A node that sees the publishers of each topic."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[Endpoint]] = {}

    def get_publishers_info_by_topic(self, topic: str) -> list[Endpoint]:  # type: ignore[override]
        return self.seen.get(topic, [])


@pytest.fixture
def graph() -> Graph:
    return Graph()


def watch(graph: Graph, *topics: str) -> ForeignPublishers:
    return ForeignPublishers(graph, topics)  # type: ignore[arg-type]


def test_the_first_node_on_a_topic_belongs_there_and_others_do_not(graph: Graph) -> None:
    publishers = watch(graph, "a", "b")
    assert publishers.look() == ""
    graph.seen["a"] = [Endpoint("policy_node", "/lab")]
    assert publishers.look() == ""
    graph.seen["a"] = [Endpoint("another"), Endpoint("policy_node", "/lab")]
    assert publishers.look() == "/another publishes on a beside /lab/policy_node; stop one of them"
    graph.seen["a"] = [Endpoint("another")]  # the first one has left, so that the other takes its place
    assert publishers.look() == publishers.found == ""


def test_a_node_that_was_started_anew_is_the_same_node(graph: Graph) -> None:
    publishers = watch(graph, "a")
    graph.seen["a"] = [Endpoint("policy_node")]
    publishers.look()
    graph.seen["a"] = [
        Endpoint("policy_node"),
        Endpoint("policy_node", endpoint_gid=b"2"),
        Endpoint("_NODE_NAME_UNKNOWN_"),
    ]
    assert publishers.look() == ""
    graph.seen["a"] = [Endpoint("policy_node"), Endpoint("_CREATED_BY_BARE_DDS_APP_")]
    assert "_CREATED_BY_BARE_DDS_APP_ publishes on a" in publishers.look()


class Topic:
    """A topic with messages of two publishers of the same name."""

    def __init__(self, graph: Graph) -> None:
        self.publishers = watch(graph, "a")
        self.got: list[object] = []
        self._callback = self.publishers.on_message("a", self.got.append)

    def send(self, id: bytes) -> None:
        self._callback("message", {"source_timestamp": 1, "publisher_gid": {"data": id}})


def test_two_nodes_of_one_name_are_found_when_both_send(graph: Graph) -> None:
    topic = Topic(graph)
    graph.seen["a"] = [Endpoint("policy_node")]
    topic.publishers.look()
    topic.send(b"1")
    graph.seen["a"] = [Endpoint("policy_node"), Endpoint("policy_node", endpoint_gid=b"2")]
    assert topic.publishers.look() == ""
    topic.send(b"2")  # It was started anew, for all that is known.
    assert topic.publishers.look() == ""
    topic.send(b"1")
    assert topic.publishers.look() == "two nodes are named /policy_node and publish on a; stop one of them"
    assert topic.publishers.look() != "" and topic.got == ["message"] * 3
    graph.seen["a"] = [Endpoint("policy_node", endpoint_gid=b"2")]
    assert topic.publishers.look() == ""
    graph.seen["a"].append(Endpoint("policy_node"))
    topic.publishers.look()
    topic.send(b"1")
    assert topic.publishers.look() == ""


def test_a_node_that_is_killed_soon_after_it_was_started_anew_is_the_same_node(graph: Graph) -> None:
    topic = Topic(graph)
    seen = graph.seen["a"] = [Endpoint("policy_node")]
    for id in (b"1", b"2", b"3"):  # The publishers of the processes before are still in the graph.
        if id != b"1":
            seen.append(Endpoint("policy_node", endpoint_gid=id))
        assert topic.publishers.look() == ""
        topic.send(id)
        topic.send(id)
        assert topic.publishers.look() == ""
    topic.send(b"2")
    assert topic.publishers.look() == "two nodes are named /policy_node and publish on a; stop one of them"


def test_a_node_that_sends_after_a_later_one_of_its_name_is_found_at_once(graph: Graph) -> None:
    topic = Topic(graph)
    graph.seen["a"] = [Endpoint("policy_node")]
    topic.publishers.look()
    graph.seen["a"].append(Endpoint("policy_node", endpoint_gid=b"2"))
    topic.publishers.look()
    topic.send(b"2")
    assert topic.publishers.look() == ""
    topic.send(b"1")
    assert topic.publishers.look() == "two nodes are named /policy_node and publish on a; stop one of them"


def test_a_look_at_some_topics_keeps_what_was_found_on_others(graph: Graph) -> None:
    publishers = watch(graph, "a", "b")
    graph.seen = {"a": [Endpoint("one")], "b": [Endpoint("one")]}
    publishers.look()
    graph.seen = {"a": [Endpoint("one"), Endpoint("two")], "b": [Endpoint("one"), Endpoint("two")]}
    assert publishers.look("b") == "/two publishes on b beside /one; stop one of them"
    assert publishers.look("a").count("/two publishes on") == 2


def test_what_is_found_is_a_condition_until_it_is_over(graph: Graph) -> None:
    conditions = Conditions(graph)  # type: ignore[arg-type]
    publishers = watch(graph, "a")
    graph.seen["a"] = [Endpoint("one")]
    publishers.report(conditions)
    assert conditions.texts == []
    graph.seen["a"] = [Endpoint("one"), Endpoint("two")]
    publishers.report(conditions)
    assert conditions.texts == ["the robot holds: /two publishes on a beside /one; stop one of them"]
    graph.seen["a"] = [Endpoint("one")]
    publishers.report(conditions)
    assert conditions.texts == []


def test_a_trainer_of_another_run_is_not_followed_while_the_first_is_there(graph: Graph) -> None:
    conditions = Conditions(graph)  # type: ignore[arg-type]
    guard = RunGuard(graph, conditions)  # type: ignore[arg-type]
    graph.seen["policy_version"] = [Endpoint("trainer_node")]
    assert guard.admits(msg.PolicyVersion(run_id="one"), "")
    graph.seen["policy_version"] = [Endpoint("trainer_node"), Endpoint("other")]
    assert guard.admits(msg.PolicyVersion(run_id="one"), "one")
    assert not guard.admits(msg.PolicyVersion(run_id="two"), "one")
    (text,) = conditions.texts
    assert text.startswith("the announcement of run two is not followed: /other publishes on policy_version beside")
    graph.seen["policy_version"] = [Endpoint("other")]
    assert guard.admits(msg.PolicyVersion(run_id="two"), "one")
    assert conditions.texts == []


def test_a_trainer_of_the_same_name_and_another_run_is_followed_when_the_first_has_left(graph: Graph) -> None:
    conditions = Conditions(graph)  # type: ignore[arg-type]
    guard = RunGuard(graph, conditions)  # type: ignore[arg-type]
    graph.seen["policy_version"] = [Endpoint("trainer_node")]
    assert guard.admits(msg.PolicyVersion(run_id="one"), "")
    graph.seen["policy_version"].append(Endpoint("trainer_node", endpoint_gid=b"2"))
    assert guard.admits(msg.PolicyVersion(run_id="one"), "one")  # The trainer was started anew.
    other = msg.PolicyVersion(run_id="two")
    assert not guard.admits(other, "one") and guard.take_refused() is None
    assert "/trainer_node has 2 publishers of policy_version" in conditions.texts[0]
    graph.seen["policy_version"] = [Endpoint("trainer_node", endpoint_gid=b"2")]
    assert guard.take_refused() == other and guard.take_refused() is None
    assert guard.admits(other, "one") and conditions.texts == []
