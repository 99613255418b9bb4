"""Tests the services of robot_node that move the robot slowly while no episode runs, over real topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, ScriptedMotion
from chunk_ppo_msgs.srv import MoveArms
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.robot import aloha
from support.robot_rig import PERIOD, Graph, running_graph
from support.service_paths import SERVICE_PATHS

pytestmark = pytest.mark.graph

STAYS = [float("nan")] * 14


class Operator:
    """A graph whose node robot_node is called, and the messages about scripted motions."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.rig = graph, graph.rig
        self.motions: list[ScriptedMotion] = []
        topics.SCRIPTED_MOTION.create_subscription(graph.rig, self.motions.append)

    def call(self, kind: Any, service: str, **values: object) -> Future:
        client = self.rig.create_client(kind, SERVICE_PATHS[service])
        self.graph.until(client.service_is_ready)
        return client.call_async(kind.Request(**values))

    def answer(self, future: Future, *, timeout: float = 20.0) -> tuple[bool, str]:
        self.graph.until(future.done, timeout=timeout)
        return future.result().success, future.result().message

    def move(self, joint: int, to: float, *, speed: float = 0.0) -> Future:
        poses = list(STAYS)
        poses[joint] = to
        return self.call(MoveArms, "move_arms", name="test", poses=poses, speed=speed)


@pytest.fixture
def real() -> Iterator[Operator]:
    with running_graph() as graph:
        yield Operator(graph)


@pytest.fixture
def lockstep() -> Iterator[Operator]:
    with running_graph(env__simulator="kinematic", env__sensor_timeout="0.5") as graph:
        yield Operator(graph)


def test_a_motion_is_answered_at_its_end_and_told_on_its_topic(real: Operator) -> None:
    future = real.move(0, 0.2)
    real.graph.until(lambda: real.motions)
    (begun,) = real.motions
    assert (begun.name, begun.moves, begun.action_dim, begun.num_commands) == ("test", True, 14, 0)
    assert begun.poses[0] == 0.2 and np.all(np.isnan(begun.poses[1:]))
    second = real.move(0, 0.1)
    assert real.answer(second) == (
        False,
        "the motion is refused: a scripted motion is under way: test; wait until it has ended",
    )
    assert not future.done()
    assert real.answer(future) == (True, "the robot is there")
    # At 0.5 rad/s (robot.scripted_velocity) 0.2 rad take 1.875 * 0.2 / 0.5 = 0.75 s, and at 2 rad/s^2 0.76 s.
    steps = np.diff(np.array(real.rig.targets)[:, 0])
    assert np.max(np.abs(steps)) <= 1.2 * 0.5 * PERIOD + 1e-6
    np.testing.assert_allclose(real.rig.targets[-1], [0.2, *aloha.START_POSE[1:]], atol=1e-6)
    real.graph.until(lambda: len(real.motions) == 2)
    ended = real.motions[1]
    assert (ended.moves, ended.status, ended.message) == (False, ExecutionResult.EXECUTED, "")
    assert 38 <= ended.num_commands <= 60
    assert real.rig.results == []


def test_both_arms_go_to_sleep_and_back_to_the_start() -> None:
    with running_graph(robot__scripted_velocity="1.5", robot__state_timeout="3.0") as graph:
        sleep_and_wake(Operator(graph))


def sleep_and_wake(real: Operator) -> None:
    assert real.answer(real.call(Trigger, "go_to_sleep_pose")) == (True, "the robot is there")
    asleep = np.array(aloha.SLEEP_POSE)
    asleep[aloha.GRIPPER_INDICES] = aloha.START_POSE[aloha.GRIPPER_INDICES]  # The grippers stay.
    np.testing.assert_allclose(real.rig.targets[-1], asleep, atol=1e-6)
    assert real.answer(real.call(Trigger, "go_to_start_pose")) == (True, "the robot is there")
    np.testing.assert_allclose(real.rig.targets[-1], aloha.START_POSE, atol=1e-6)


def test_a_motion_is_refused_while_an_episode_runs_or_is_paused(real: Operator) -> None:
    for event, text in ((EpisodeEvent.STARTED, "an episode is running"), (EpisodeEvent.PAUSED, "is paused")):
        real.rig.tell(event)
        real.graph.spin(0.1)
        success, message = real.answer(real.call(Trigger, "go_to_start_pose"))
        assert not success and text in message
    real.rig.tell(EpisodeEvent.ENDED)
    real.graph.spin(0.1)
    assert real.answer(real.move(0, 0.05)) == (True, "the robot is there")


def test_the_arms_can_be_put_down_after_reward_node_has_died_in_an_episode(real: Operator) -> None:
    real.rig.tell(EpisodeEvent.STARTED)
    real.graph.spin(0.1)
    assert not real.answer(real.move(0, 0.05))[0]
    real.rig.destroy_publisher(real.rig.events)
    real.graph.until(lambda: not real.graph.robot.count_publishers("episode_event"))
    assert real.answer(real.move(0, 0.05)) == (True, "the robot is there")


@pytest.mark.parametrize("kind", ["an episode that starts", "an emergency stop", "the service"])
def test_a_motion_is_ended(real: Operator, kind: str) -> None:
    future = real.move(0, 0.5)
    real.graph.until(lambda: len(real.rig.targets) >= 10)
    if kind == "an episode that starts":
        real.rig.tell(EpisodeEvent.STARTED)
        text = "ended as CANCELLED: an episode goes on"
    elif kind == "an emergency stop":
        real.call(SetBool, "emergency_stop", data=True)
        text = "ended as FAULT: emergency stop"
    else:
        assert real.answer(real.call(Trigger, "stop_scripted_motion")) == (True, "the robot brakes and holds")
        assert real.answer(real.call(Trigger, "stop_scripted_motion")) == (False, "no scripted motion is under way")
        text = "ended as CANCELLED: it was stopped by the service stop_scripted_motion"
    success, message = real.answer(future)
    assert not success and message.startswith(text)
    real.graph.spin(0.3)
    assert real.rig.targets[-1][0] < 0.4
    if kind == "an emergency stop":
        assert "emergency stop" in real.answer(real.move(0, 0.0))[1]
        real.answer(real.call(SetBool, "emergency_stop", data=False))


def test_the_torque_stays_on_with_a_back_end_that_cannot_switch_it_off(real: Operator) -> None:
    success, message = real.answer(real.call(Trigger, "torque_off"))
    assert not success and message.startswith("this robot.backend cannot switch the torque off")


def test_poses_that_are_no_poses_are_refused(real: Operator) -> None:
    future = real.call(MoveArms, "move_arms", poses=[0.0] * 13)
    assert real.answer(future) == (
        False,
        "the motion is refused: poses must have shape (n, 14) with n >= 1, got (1, 13)",
    )


def test_a_simulator_in_lockstep_is_moved_too(lockstep: Operator) -> None:
    assert lockstep.answer(lockstep.move(0, 0.2)) == (True, "the robot is there")
    assert len(lockstep.rig.targets) == lockstep.motions[-1].num_commands
    np.testing.assert_allclose(lockstep.rig.targets[-1][0], 0.2, atol=1e-6)
