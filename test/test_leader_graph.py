"""Tests robot_node at a takeover and a teleoperated reset, beside fake drivers of both followers and both leaders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, TakeoverState

from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.leaders.alignment import MAX_ERROR
from support.leader_rig import ARM, FOLLOWER_STEP, HOME, LEADER_STEP, LeaderGraph, running_leader_graph

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]

MAX_LEAP = 0.01  # rad, of an arm that a hand holds still


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[LeaderGraph]:
    with running_leader_graph(str(tmp_path)) as graph:
        yield graph


def ramp(num_steps: int) -> np.ndarray:
    """Returns a motion of both waists by 0.01 rad a step."""
    targets = np.tile(HOME, (num_steps, 1))
    targets[:, [0, 7]] += 0.01 * np.arange(1, num_steps + 1)[:, None]
    return targets


def commanders(graph: LeaderGraph) -> set[str]:
    """Returns the nodes that have a publisher of commands to a leader."""
    return {
        info.node_name
        for side in aloha.SIDES
        for info in graph.peer.get_publishers_info_by_topic(f"leader_{side}/commands/joint_group")
    }


def test_a_human_takes_over_in_mid_chunk_and_hands_back(graph: LeaderGraph) -> None:
    graph.until_prepared()
    graph.peer.results.clear()
    graph.peer.send(ramp(60))
    graph.until(lambda: len(graph.follower_commands("left")) > 30)
    assert "a human drives" in graph.takeover(True).message
    graph.until(lambda: bool(graph.peer.results))
    assert graph.peer.results.pop().status == ExecutionResult.TAKEOVER

    graph.until_leaders(TakeoverState.HOLDING)
    held = {side: graph.follower_commands(side)[-1] for side in aloha.SIDES}
    for side, leader in graph.leaders.items():
        assert leader.is_stiff
        assert np.max(np.abs(leader.pose - held[side])) < MAX_ERROR
    assert "leaders_gripped" in graph.state.message
    graph.until(lambda: commanders(graph) == set())
    assert graph.largest_leader_step() <= LEADER_STEP

    graph.grip()
    assert all(leader.is_limp for leader in graph.leaders.values())
    graph.lead(0.15)
    for side, leader in graph.leaders.items():
        graph.until(lambda side=side, leader=leader: abs(graph.follower_commands(side)[-1][0] - leader.pose[0]) < 1e-3)
        assert leader.pose[0] - held[side][0] == pytest.approx(0.15, abs=MAX_ERROR)

    assert "the policy drives" in graph.takeover(False).message
    graph.until_leaders(TakeoverState.HOLDING)
    assert all(leader.is_stiff for leader in graph.leaders.values())
    stands = np.array(HOME)
    for side in aloha.SIDES:
        stands[aloha.side_slice(side)][ARM] = graph.follower_commands(side)[-1]
    graph.until(lambda: graph.chunk(np.tile(stands, (4, 1))).status == ExecutionResult.EXECUTED)
    answer = graph.call(services.RELEASE_LEADERS)
    assert answer.success, answer.message
    graph.until_leaders(TakeoverState.FREE)
    assert all(leader.is_limp for leader in graph.leaders.values())
    assert graph.largest_follower_step() <= FOLLOWER_STEP
    assert graph.largest_leap() < MAX_LEAP
    assert all(not leader.motors.mistakes for leader in graph.leaders.values())
    assert [(call.name, call.success) for call in graph.peer.calls] == [
        ("takeover", True),
        ("grip of both leaders", True),
        ("takeover", True),
        ("release_leaders", True),
    ]


def test_other_commanders_a_pause_and_a_lost_driver(graph: LeaderGraph) -> None:
    from interbotix_xs_msgs.msg import JointGroupCommand

    from support.fake_leader import FakeGravityCompensation

    graph.until_prepared()
    topic = "leader_left/commands/joint_group"
    rival = graph.peer.create_publisher(JointGroupCommand, topic, 10)
    graph.until(lambda: graph.robot.count_publishers(topic))
    graph.takeover(True)
    graph.until(lambda: "/reward_node commands it too" in graph.state.message)
    assert (graph.state.leaders, graph.state.human) == (TakeoverState.FREE, True)
    graph.until(lambda: "a human drives; the leaders are left alone: leader_left: " in graph.peer.robot_says)
    graph.peer.destroy_publisher(rival)

    gravity = graph.add(FakeGravityCompensation(graph.leaders["right"]))
    gravity.refuses = True
    graph.until(lambda: not graph.robot.count_publishers(topic))
    graph.takeover(True)
    graph.until(lambda: "gravity compensation was not switched off: the motors did not answer" in graph.state.message)
    gravity.refuses = False
    graph.takeover(True)
    graph.until(lambda: len(graph.leaders["right"].arm_commands()) > 10 and not gravity.is_on)
    graph.until_leaders(TakeoverState.HOLDING)
    gravity.is_on = True
    graph.until(lambda: "leader_right: another program sends it commands" in graph.state.message)
    gravity.is_on = False
    graph.takeover(True)
    graph.until(lambda: graph.state.leaders == TakeoverState.ALIGNING)

    graph.peer.tell(EpisodeEvent.PAUSED)
    graph.until(lambda: "paused" in graph.state.message)
    graph.spin(0.1)
    stands = {side: leader.pose for side, leader in graph.leaders.items()}
    graph.spin(0.3)
    assert all(np.allclose(leader.pose, stands[side], atol=1e-3) for side, leader in graph.leaders.items())
    assert not graph.call(services.LEADERS_GRIPPED).success
    graph.peer.tell(EpisodeEvent.RESUMED)
    graph.until_leaders(TakeoverState.HOLDING)
    answer = graph.call(services.LEADERS_GRIPPED)
    assert answer.success, answer.message
    graph.until_leaders(TakeoverState.LIMP)
    graph.lead(0.05)
    graph.peer.tell(EpisodeEvent.PAUSED)
    graph.until(lambda: "paused" in graph.state.message)
    graph.spin(0.2)
    graph.peer.tell(EpisodeEvent.RESUMED)
    graph.until(lambda: "the robot was stopped; bring the leaders to the followers" in graph.state.message)
    num_commands = len(graph.follower_commands("left"))
    graph.lead(0.05)
    assert len(graph.follower_commands("left")) == num_commands
    graph.takeover(False)
    graph.until_leaders(TakeoverState.HOLDING)
    graph.stop_leader("left")
    graph.until(lambda: "leader_left: nobody publishes its joint states" in graph.state.message)
    assert (graph.state.leaders, graph.state.human) == (TakeoverState.FREE, False)
    assert graph.largest_follower_step() <= FOLLOWER_STEP


def test_gestures_of_before_do_not_count_and_no_publisher_is_left(tmp_path: Path) -> None:
    """A grip during a stop lets no leader go afterwards, and a squeeze in an episode does not end the next reset."""
    with running_leader_graph(str(tmp_path), episode__reset="teleoperated") as graph:
        graph.until_prepared()
        graph.takeover(True)
        graph.until_leaders(TakeoverState.HOLDING)
        graph.peer.tell(EpisodeEvent.PAUSED)
        graph.until(lambda: "paused" in graph.state.message)
        graph.squeeze(0.8, 0.3)
        graph.squeeze(0.0, 1.0)
        graph.peer.tell(EpisodeEvent.RESUMED)
        graph.until(lambda: "paused" not in graph.state.message)
        graph.spin(1.0)
        assert graph.state.leaders == TakeoverState.HOLDING

        graph.grip()
        for opening in (0.8, 0.0, 0.8, 0.0, 0.8):
            graph.squeeze(opening, 0.3)
        graph.peer.tell(EpisodeEvent.ENDED)
        graph.peer.tell(EpisodeEvent.RESET)
        graph.until(lambda: "twice within 2 s" in graph.state.message)
        graph.spin(0.5)
        assert (graph.state.human, graph.peer.num_done) == (True, 0)

        graph.leaders["right"].answer_time = 0.3  # so that the other leader fails while this one gets its torque
        graph.takeover(False)
        graph.until(lambda: graph.peer.count_publishers("leader_right/commands/joint_group"))
        graph.stop_leader("left")
        graph.until(lambda: graph.state.leaders == TakeoverState.FREE)
        graph.until(lambda: commanders(graph) == set())


def test_a_human_makes_the_reset_and_nothing_of_it_is_recorded(tmp_path: Path) -> None:
    with running_leader_graph(str(tmp_path), episode__reset="teleoperated") as graph:
        graph.until_prepared()
        graph.peer.results.clear()
        graph.peer.tell(EpisodeEvent.ENDED)
        graph.peer.tell(EpisodeEvent.RESET)
        graph.until_leaders(TakeoverState.HOLDING)
        assert graph.state.human
        graph.grip()
        assert "twice within 2 s" in graph.state.message
        graph.lead(0.15)
        graph.squeeze_twice()
        graph.until(lambda: not graph.state.human)
        graph.until_leaders(TakeoverState.HOLDING)
        graph.until(lambda: abs(graph.follower_commands("left")[-1][0] - 0.15) < MAX_ERROR)
        assert graph.peer.results == []
        graph.until(lambda: ("double squeeze of both leaders", True) in [(c.name, c.success) for c in graph.peer.calls])

        graph.peer.tell(EpisodeEvent.RESET)
        graph.until(lambda: graph.state.human)
        graph.until_leaders(TakeoverState.HOLDING)
        graph.grip()
        graph.peer.tell(EpisodeEvent.READY)  # as the service reset_done does
        graph.until(lambda: not graph.state.human)
        graph.until_leaders(TakeoverState.HOLDING)
        assert graph.peer.num_done == 1
        assert graph.largest_follower_step() <= FOLLOWER_STEP
        assert graph.largest_leader_step() <= LEADER_STEP
        assert graph.largest_leap() < MAX_LEAP
