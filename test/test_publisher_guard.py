"""Tests whose messages are used where several nodes publish on a topic, by what a fake of the graph says."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from support.fake_node import FakeNode, SteadyClock


class Topic:
    """A guarded topic, and what of it is handed on. The name of a node is the id of its publisher."""

    def __init__(self, name: str) -> None:
        self.node, self.clock, self.got = FakeNode(), SteadyClock(), []  # type: ignore[var-annotated]
        self.conditions = Conditions(self.node)  # type: ignore[arg-type]
        self.guard = PublisherGuard(self.node, self.conditions, clock=self.clock.monotonic)  # type: ignore[arg-type]
        self._name = name
        self._callback = self.guard.only_from_one(name, self.got.append)

    def show(self, *nodes: str) -> None:
        """Lets the graph show these publishers from now on."""
        self.node.present[self._name] = list(nodes)

    def send(self, node: str) -> bool:
        """Sends a message and returns whether it was handed on."""
        before = len(self.got)
        self._callback("message", {"source_timestamp": 1, "publisher_gid": {"data": node.encode()}})
        return len(self.got) > before

    def wait(self) -> None:
        self.clock.now += LOOK_PERIOD
        self.guard.watch()


@pytest.fixture
def topic() -> Topic:
    return Topic("transition")


def test_a_topic_belongs_to_its_usual_node_whoever_sends_first(topic: Topic) -> None:
    topic.show("attacker", "reward_node")
    assert not topic.send("attacker")
    assert topic.send("reward_node")
    assert topic.conditions.texts == [
        "messages are not used: those of /attacker on transition, which /reward_node publishes; stop one of the nodes"
    ]


def test_the_condition_is_over_when_the_other_node_has_left(topic: Topic) -> None:
    topic.show("attacker", "reward_node")
    topic.send("attacker")
    topic.wait()
    assert len(topic.conditions.texts) == 1
    topic.show("reward_node")
    topic.wait()
    assert topic.conditions.texts == []


def test_another_topic_belongs_to_the_node_that_sent_first_as_long_as_it_is_there(topic: Topic) -> None:
    topic.show("one", "two")
    assert topic.send("two") and not topic.send("one")
    topic.show("one")
    topic.wait()
    assert topic.send("one")
    topic.show("one", "two")
    assert not topic.send("two")


def test_the_usual_node_takes_a_topic_over(topic: Topic) -> None:
    topic.show("one")
    assert topic.send("one")
    topic.show("one", "reward_node")
    assert topic.send("reward_node") and not topic.send("one")


def test_nobody_takes_the_place_of_the_usual_node_while_it_is_dead(topic: Topic) -> None:
    topic.show("reward_node", "attacker")
    assert topic.send("reward_node")
    topic.show("attacker")
    topic.wait()
    assert not topic.send("attacker")
    topic.show("attacker", "reward_node")
    topic.wait()
    assert topic.send("reward_node")


def test_a_message_that_is_sent_once_is_used_though_its_node_is_not_known_yet() -> None:
    topic = Topic("episode_event")
    topic.show("_NODE_NAME_UNKNOWN_", "reward_node")
    assert topic.send("_NODE_NAME_UNKNOWN_") and topic.send("reward_node")
    topic.show("attacker", "reward_node")
    topic.wait()
    assert not topic.send("attacker")


def test_a_node_that_was_started_anew_goes_on(topic: Topic) -> None:
    topic.node.gids = {"reward_node": b"old"}
    topic.show("reward_node")
    assert topic.send("old")
    topic.node.gids = {"reward_node": b"new"}
    assert topic.send("new")  # The guard looks again, because it does not know the publisher.


def test_a_publisher_whose_node_is_not_known_yet_waits_where_the_topic_has_a_node(topic: Topic) -> None:
    topic.show("_NODE_NAME_UNKNOWN_")
    assert topic.send("_NODE_NAME_UNKNOWN_")
    topic.show("_NODE_NAME_UNKNOWN_", "reward_node")
    topic.wait()
    assert not topic.send("_NODE_NAME_UNKNOWN_") and topic.send("reward_node")
    assert topic.conditions.texts == []  # It may be the right one.


def test_a_publisher_that_comes_or_goes_is_noticed_at_once(topic: Topic) -> None:
    topic.show("one")
    assert topic.send("one")
    topic.show("one", "reward_node")
    assert not topic.send("one")  # The topic belongs to the usual node as soon as that is there.
    topic.show("reward_node")
    topic.guard.watch()
    assert topic.conditions.texts == []


def test_messages_are_used_where_rclpy_does_not_tell_who_sent_them(topic: Topic) -> None:
    topic.show("attacker", "reward_node")
    assert topic.send("")


def test_each_robot_of_a_run_has_a_usual_node_of_its_own() -> None:
    topic = Topic("transition")
    topic.show("attacker", "a/reward_node", "b/reward_node")

    def admits(node: str, robot: str) -> bool:
        return topic.guard.admits("transition", MessageOrigin(node.encode()), part=robot)

    assert not admits("attacker", "robot_0") and not admits("attacker", "robot_1")
    assert admits("b/reward_node", "robot_0") and admits("a/reward_node", "robot_1")
    assert not admits("a/reward_node", "robot_0") and not admits("attacker", "robot_0")
    topic.show("attacker", "a/reward_node")
    topic.wait()
    assert not admits("attacker", "robot_0") and admits("a/reward_node", "robot_1")


def test_each_part_of_a_topic_belongs_to_a_node_of_its_own() -> None:
    topic = Topic("task_reward")
    topic.show("sim_node", "scale", "attacker")

    def admits(node: str, source: str) -> bool:
        return topic.guard.admits("task_reward", MessageOrigin(node.encode()), part=source)

    assert admits("sim_node", "task") and admits("scale", "scale")
    assert not admits("attacker", "task") and not admits("attacker", "scale")
    assert "those of /attacker on task_reward as scale, which /scale publishes" in topic.conditions.texts[0]
