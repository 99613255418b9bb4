"""Tests shadow mode: the policy acts, nothing moves the robot, and nothing is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from chunk_ppo_msgs.srv import MoveArms
from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.config import EnvConfig, RewardConfig, RobotConfig, TrainConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.recorder.command_topics import command_topics
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.sensors.joints import CHUNK_JOINTS
from chunk_ppo_ros.rewards import referee
from chunk_ppo_ros.rewards.chunk_join import ChunkJoin
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.player_inputs import DT, HOME, observe, only, ramp, send
from support.robot_rig import Graph, running_graph
from support.service_paths import SERVICE_PATHS
from support.spinner import Spinner

if TYPE_CHECKING:
    from pathlib import Path

    from rclpy.publisher import Publisher

SHADOW = RobotConfig(shadow=True, max_following_error=0.1, max_acceleration=10.0, max_velocity=1.5)


@pytest.fixture
def player() -> ChunkPlayer:
    """Returns a player whose joint states are believed, at the time 1 s."""
    trust = TrustRule.of(SHADOW, simulated=False)
    player = ChunkPlayer(SHADOW, state_timeout=0.5, states_on_demand=False, trust=trust)
    for step in range(11):
        observe(player, 0.8 + step * DT)
    return player


def play(player: ChunkPlayer, start: float, *, moves_by: float = 0.0) -> tuple[np.ndarray, float]:
    """Ticks until the chunk has ended, while a person moves the left waist by some rad a step.

    Returns the commands, and the time of the end.
    """
    state, now, sent = np.array(HOME), start, []
    while player.playing:
        now += DT
        state[0] += moves_by
        observe(player, now, state)
        target = player.tick(now)
        if target is not None:
            sent.append(target)
    return np.array(sent), now


def test_a_chunk_is_computed_and_does_not_count(player: ChunkPlayer) -> None:
    send(player, ramp(60, 0.01), now=1.0)
    sent, _ = play(player, 1.0)
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.CANCELLED, 0)
    assert result.message.startswith("shadow mode (robot.shadow): nothing moved")
    np.testing.assert_allclose(result.commanded, sent, atol=1e-6)
    # The arms stay behind by 0.6 rad for more than half a second, which would be a fault on a robot that must follow.
    assert sent[-1, 0] == pytest.approx(0.6)


def test_the_next_chunk_starts_where_the_robot_was_moved_to_meanwhile(player: ChunkPlayer) -> None:
    send(player, ramp(15, 0.01), now=1.0)
    _, now = play(player, 1.0, moves_by=-0.01)
    player.take_results()
    there = np.array(HOME)
    there[0] = -0.15  # 0.3 rad from the last command, less than robot.max_start_jump
    observe(player, now + DT, there)
    assert player.tick(now + DT) is None  # There is nothing to brake.
    assert player.readiness.waits(now + DT) == ""
    chunk = np.tile(there, (4, 1))
    send(player, chunk, now=now + DT, stamp=2)
    observe(player, now + 2 * DT, there)
    target = player.tick(now + 2 * DT)
    assert target is not None
    assert target[0] == pytest.approx(-0.15, abs=0.011)


@pytest.mark.parametrize("ends", ["pause", "silence"])
def test_a_chunk_that_ends_before_counts_no_step_either(player: ChunkPlayer, ends: str) -> None:
    send(player, ramp(60, 0.01), now=1.0)
    for step in range(1, 6):
        observe(player, 1.0 + step * DT)
        player.tick(1.0 + step * DT)
    if ends == "pause":
        player.suspend("the episode is paused")
    else:
        player.tick(2.0)
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.CANCELLED if ends == "pause" else Status.FAULT, 0)
    assert not player.stops


def test_the_referee_makes_no_transition_of_it_and_finds_no_fault(player: ChunkPlayer) -> None:
    send(player, ramp(4, 0.01), now=1.0)
    play(player, 1.0)
    result = only(player.take_results())
    config = RewardConfig(sources=("task",))
    join = ChunkJoin(config.sources)
    join.add_chunk(result.stamp, ChunkId("run", 0, 0, 0), ramp(4, 0.01), 4, now=1.0)
    join.add_execution(result, now=1.1)
    judged = referee.judge(join.pop_complete()[0], config=config, time_limit_reached=False)
    assert (judged.valid, judged.robot_fault) == (False, False)
    assert result.status is not Status.REFUSED  # Ten refusals in a row would pause the episode.
    assert "shadow mode" in judged.reason


def test_a_simulator_in_lockstep_is_refused() -> None:
    with pytest.raises(ValueError, match="robot.shadow must be false in lockstep, got true"):
        TrainConfig(robot=SHADOW)
    TrainConfig(robot=SHADOW, env=EnvConfig(realtime=True))


def test_it_is_recorded_beside_what_others_command() -> None:
    config = TrainConfig(robot=SHADOW, env=EnvConfig(realtime=True))
    names = [topic.name for topic in command_topics(config)]
    assert names[:2] == ["robot/left/shadow_command", "robot/right/shadow_command"]
    assert "follower_left/arm_controller/joint_trajectory" in names


# The tests below run robot_node over topics.


class Shadowed:
    """robot_node in shadow mode, what it publishes, and another program that commands the arms."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.heard = graph, {side: [] for side in aloha.SIDES}
        for side, topic in topics.SHADOW_COMMANDS.items():
            topic.create_subscription(graph.rig, self.heard[side].append)
        self.others: list[Publisher] = []
        for name in ("teleoperation", "second_teleoperation"):
            node = graph.add(rclpy.create_node(name))
            topic = topics.ARM_COMMANDS["left"]
            self.others.append(node.create_publisher(JointTrajectory, topic.name, qos.COMMAND))
        graph.until(lambda: all(graph.rig.count_publishers(each.name) for each in topics.SHADOW_COMMANDS.values()))

    def call(self, kind: type, name: str, **values: object) -> object:
        future = self.graph.rig.create_client(kind, SERVICE_PATHS[name]).call_async(kind.Request(**values))  # type: ignore[attr-defined]
        self.graph.until(future.done)
        return future.result()


@pytest.fixture
def shadowed() -> Iterator[Shadowed]:
    settings = {"robot__shadow": "true", "robot__max_following_error": "0.1", "model__action_horizon": "100"}
    with running_graph(**settings) as graph:
        yield Shadowed(graph)


@pytest.mark.graph
def test_nothing_is_sent_to_the_drivers(shadowed: Shadowed, capfd: pytest.CaptureFixture[str]) -> None:
    graph = shadowed.graph
    graph.rig.tell(EpisodeEvent.STARTED)
    graph.spin(1.3)  # Within a second robot_node looks who else publishes.
    graph.rig.send(ramp(16, 0.01))
    result = graph.result()
    assert (result.status, result.num_steps) == (ExecutionResult.CANCELLED, 0), result.message
    graph.until(lambda: all(len(heard) >= 16 for heard in shadowed.heard.values()))
    left = shadowed.heard["left"]
    assert left[0].joint_names == list(CHUNK_JOINTS)
    np.testing.assert_allclose(
        [message.points[0].positions[0] for message in left[:16]], ramp(16, 0.01)[:, 0], atol=1e-6
    )
    assert graph.rig.targets == []
    for topic in (*topics.ARM_COMMANDS.values(), *topics.GRIPPER_COMMANDS.values()):
        publishers = {info.node_name for info in graph.rig.get_publishers_info_by_topic(topic.name)}
        assert "robot_node" not in publishers
    graph.until(lambda: any(map(shadow_is_told, graph.rig.diagnostics)))


def shadow_is_told(message: object) -> bool:
    statuses = message.status  # type: ignore[attr-defined]
    return any("shadow mode" in each.message and each.level == DiagnosticStatus.WARN for each in statuses)


@pytest.mark.graph
def test_nobody_takes_over_or_moves_the_arms_by_robot_node(shadowed: Shadowed) -> None:
    answer = shadowed.call(SetBool, "takeover", data=True)
    assert not answer.success and "shadow mode" in answer.message  # type: ignore[attr-defined]
    answer = shadowed.call(MoveArms, "move_arms", poses=aloha.START_POSE.tolist())
    assert not answer.success and "shadow mode" in answer.message  # type: ignore[attr-defined]
    shadowed.graph.spin(0.2)
    assert shadowed.graph.rig.targets == []
    assert all(heard == [] for heard in shadowed.heard.values())


@pytest.mark.graph("drivers")
def test_interbotix_s_drivers_get_neither_commands_nor_calls(interbotix_messages: Path) -> None:
    from support.fake_driver import running_driver

    rclpy.init()
    node = rclpy.create_node("shadow")
    spinner = Spinner(node)
    try:
        with running_driver("left") as driver:
            backend = make_backend(node, RobotConfig(backend="interbotix", shadow=True))
            for _ in range(5):
                backend.send(aloha.START_POSE, stamp=0)
                spinner.spin(0.1)
            assert (driver.motors.commands, driver.calls) == ([], [])
            assert driver.motors.modes["gripper"] == "linear_position"
    finally:
        spinner.close()
        rclpy.shutdown()
