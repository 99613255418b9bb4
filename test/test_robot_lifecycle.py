"""Tests that robot_node goes on with its episode, whenever an operator leads it through its lifecycle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from chunk_ppo_ros.config.flags.service_calls import lifecycle_change
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.robot import aloha
from support.lifecycle_operator import LifecycleOperator
from support.robot_rig import MAX_VELOCITY, PERIOD, Graph, running_graph

pytestmark = pytest.mark.graph

HORIZON = 100
"""The number of points that a chunk may have, two seconds, so that tests can interrupt one."""
DOWN = {"deactivated": ("deactivate",), "cleaned up": ("deactivate", "cleanup", "configure")}


class Led:
    """robot_node with its rig, and an operator who leads it."""

    def __init__(self, graph: Graph, down: tuple[str, ...] = DOWN["deactivated"]) -> None:
        self.graph, self.rig = graph, graph.rig
        self._down = down
        self._operator = LifecycleOperator(graph.rig, "robot_node", graph.until)
        self.active: list[bool] = []
        self.rig.create_subscription(
            Bool, "robot_node/active", lambda message: self.active.append(message.data), qos.LATCHED_SUBSCRIPTION
        )
        graph.until(lambda: self.active)

    def ask(self, *transitions: str) -> list[bool]:
        return self._operator.ask(*transitions)

    def stop(self) -> None:
        """Deactivates the node, and waits until the robot is at rest."""
        assert all(self.ask(*self._down))
        self.graph.until(lambda: not self.active[-1])
        self.graph.spin(0.2)

    def go_on(self) -> None:
        assert self.ask("activate", "activate") == [True, False]
        self.graph.until(lambda: self.active[-1])

    def play(self, num_steps: int, per_step: float) -> None:
        """Sends a chunk in which both waists move on from where they were commanded, by `per_step` rad in each step."""
        start = self.rig.targets[-1] if self.rig.targets else np.array(aloha.START_POSE)
        targets = np.tile(start, (num_steps, 1))
        targets[:, [0, 7]] += per_step * np.arange(1, num_steps + 1)[:, None]
        self.rig.send(targets)

    def until_executed(self) -> None:
        """Sends chunks until one is executed. On a busy machine joint states come late, and are doubted for a while."""
        for _ in range(10):
            self.play(16, 0.01)
            if self.graph.result().status == ExecutionResult.EXECUTED:
                return
            self.graph.spin(0.3)
        raise AssertionError("none of ten chunks was executed")

    def assert_no_jump(self) -> None:
        waist = np.array(self.rig.targets)[:, 0]
        assert np.max(np.abs(np.diff(waist, prepend=aloha.START_POSE[0]))) <= MAX_VELOCITY * PERIOD + 1e-6

    def call(self, name: str) -> tuple[bool, str]:
        client = self.rig.create_client(Trigger, f"robot_node/{name}")
        self.graph.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.graph.until(future.done)
        return future.result().success, future.result().message


def test_it_says_that_it_is_not_active_before_the_others_know_it_by_another_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """reward_node begins the next episode as soon as it sees the results' publisher of a node that is started anew."""
    made: list[str] = []
    create = topics.Topic.create_publisher

    def note(topic: topics.Topic, node: Node) -> Publisher:
        if node.get_name() == "robot_node":
            made.append(topic.name)
        return create(topic, node)

    monkeypatch.setattr(topics.Topic, "create_publisher", note)
    with running_graph() as graph:
        assert made[0] == topics.ROBOT_ACTIVE.name
        assert Led(graph).active[-1]  # It is active when it listens.


@pytest.fixture(params=DOWN.values(), ids=DOWN.keys())
def led(request: pytest.FixtureRequest) -> Iterator[Led]:
    with running_graph(model__action_horizon=str(HORIZON)) as graph:
        yield Led(graph, request.param)


def test_a_running_chunk_is_cancelled_with_what_was_done_and_the_episode_goes_on(led: Led) -> None:
    led.rig.tell(EpisodeEvent.STARTED)
    led.play(HORIZON, 0.004)
    led.graph.until(lambda: len(led.rig.targets) > 10)
    led.stop()
    result = led.graph.result()
    assert (result.status, result.num_steps > 8) == (ExecutionResult.CANCELLED, True)
    assert result.message.startswith(f"robot_node is not active; call `{lifecycle_change('/robot_node', 'activate')}`")
    sent = len(led.rig.targets)
    led.play(16, 0.004)
    assert led.graph.result().status == ExecutionResult.REFUSED
    assert len(led.rig.targets) == sent
    led.go_on()
    led.play(16, 0.004)
    assert led.graph.result().status == ExecutionResult.EXECUTED
    led.assert_no_jump()
    assert led.active == [True, False, True]


def test_what_happens_to_the_episode_meanwhile_counts_afterwards(led: Led) -> None:
    led.rig.tell(EpisodeEvent.STARTED)
    led.graph.spin(0.1)
    led.stop()
    led.rig.tell(EpisodeEvent.PAUSED)
    led.graph.spin(0.1)
    led.go_on()
    led.play(16, 0.004)
    paused = led.graph.result()
    assert (paused.status, "paused" in paused.message) == (ExecutionResult.REFUSED, True)
    led.rig.tell(EpisodeEvent.RESUMED)
    led.graph.spin(0.1)
    led.play(16, 0.004)
    assert led.graph.result().status == ExecutionResult.EXECUTED


def test_a_human_who_drives_is_stopped_and_drives_on(led: Led) -> None:
    led.rig.tell(EpisodeEvent.STARTED)
    led.graph.call_takeover(True)
    led.rig.leader = np.array(aloha.START_POSE)
    led.graph.until(lambda: len(led.rig.targets) > 5)
    led.stop()
    assert led.rig.results.pop().status == ExecutionResult.CANCELLED
    led.rig.results.clear()
    sent = len(led.rig.targets)
    led.rig.leader = aloha.START_POSE + 0.05 * (np.arange(14) == 0)
    led.graph.spin(0.2)
    assert len(led.rig.targets) <= sent + 1
    led.go_on()
    led.graph.until(lambda: abs(led.rig.targets[-1][0] - led.rig.leader[0]) < 1e-3)
    assert led.rig.takeovers[-1].human
    led.assert_no_jump()
    led.graph.call_takeover(False)


def test_a_scripted_motion_is_ended_and_can_be_asked_for_again(led: Led) -> None:
    led.play(16, 0.01)
    assert led.graph.result().status == ExecutionResult.EXECUTED
    led.stop()
    success, message = led.call("go_to_start_pose")
    assert not success and "robot_node is not active" in message
    led.go_on()
    assert led.call("go_to_start_pose") == (True, "the robot is there")


def test_a_robot_that_waits_for_its_operator_waits_on() -> None:
    with running_graph(robot__confirm_start="true") as graph:
        led = Led(graph)
        led.stop()
        led.go_on()
        led.play(16, 0.004)
        refused = graph.result()
        assert (refused.status, "robot_node has started" in refused.message) == (ExecutionResult.REFUSED, True)
        assert led.call("confirm_motion")[0]
        led.stop()
        led.go_on()
        led.play(16, 0.004)
        assert graph.result().status == ExecutionResult.EXECUTED


def test_an_arm_that_was_moved_away_meanwhile_waits_for_its_operator() -> None:
    with running_graph(robot__max_start_jump="0.3") as graph:
        led = Led(graph)
        led.until_executed()
        led.stop()
        led.rig.state = led.rig.state + 0.5 * (np.arange(14) == 1)
        graph.spin(1.0)
        led.go_on()
        led.rig.send(np.tile(led.rig.state, (16, 1)))
        refused = graph.result()
        assert (refused.status, "look at the robot" in refused.message) == (ExecutionResult.REFUSED, True)
        assert led.call("confirm_motion")[0]
        led.rig.send(np.tile(led.rig.state, (16, 1)))
        assert graph.result().status == ExecutionResult.EXECUTED


def test_a_node_that_is_shut_down_never_moves_the_robot_again(led: Led) -> None:
    led.play(HORIZON, 0.004)
    led.graph.until(lambda: len(led.rig.targets) > 5)
    assert led.ask("shutdown") == [True]
    assert led.graph.result().status == ExecutionResult.CANCELLED
    led.graph.until(lambda: not led.active[-1])
    assert led.ask("configure", "activate") == [False, False]
    led.play(16, 0.0)
    assert led.graph.result().status == ExecutionResult.REFUSED
