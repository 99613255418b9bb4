"""Tests robot_node over real topics. `robot_rig.py` plays drivers and policy in the same process."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rcl_interfaces.msg import SetParametersResult
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.config.flags.service_calls import lifecycle_change
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage
from chunk_ppo_ros.robot import aloha
from support.fresh_python import run_program
from support.robot_rig import CONVENTION, MAX_VELOCITY, PERIOD, Graph, running_graph, trajectory

pytestmark = pytest.mark.graph

REACH = MAX_VELOCITY * PERIOD
HORIZON = 100
"""The number of points that a chunk may have, two seconds, so that tests can interrupt one."""


@pytest.fixture
def real_time() -> Iterator[Graph]:
    with running_graph(model__action_horizon=str(HORIZON)) as graph:
        yield graph


@pytest.fixture
def lockstep() -> Iterator[Graph]:
    with running_graph(env__simulator="kinematic", env__sensor_timeout="20.0") as graph:  # on a busy machine too
        yield graph


def ramp(num_steps: int, per_step: float) -> np.ndarray:
    """Returns a motion in which both waists move by `per_step` rad in every step."""
    targets = np.tile(aloha.START_POSE, (num_steps, 1))
    targets[:, [0, 7]] += per_step * np.arange(1, num_steps + 1)[:, None]
    return targets


def test_a_chunk_is_executed_at_the_control_rate(real_time: Graph) -> None:
    real_time.rig.tell(EpisodeEvent.STARTED)
    real_time.spin(0.1)
    stamp = real_time.rig.send(ramp(16, 0.01))
    result = real_time.result()
    assert (result.status, result.num_steps, result.num_clamped_steps) == (ExecutionResult.EXECUTED, 16, 0)
    assert time_to_ns(result.header.stamp) == stamp
    np.testing.assert_allclose(real_time.rig.targets, ramp(16, 0.01), atol=1e-6)
    assert (result.run_id, result.sender, result.action_dim) == ("run", DEFAULT_SENDER, 14)
    np.testing.assert_array_equal(np.reshape(result.commanded, (16, 14)), np.array(real_time.rig.targets, np.float32))
    assert list(result.causes) == [0] * 16
    assert 0.3 <= result.duration <= 2.0
    # Between the first command and the end 16 periods of 0.02 s pass. The first one comes within a period.
    assert 0.3 <= (time_to_ns(result.end) - stamp) * 1e-9 <= 2.0


def test_lockstep_executes_as_fast_as_it_is_answered(lockstep: Graph) -> None:
    for number in range(3):
        lockstep.rig.send(ramp(16, 0.01 if number % 2 == 0 else -0.01))
        result = lockstep.result()
        assert (result.status, result.num_steps) == (ExecutionResult.EXECUTED, 16)
        lockstep.rig.send(np.tile(aloha.START_POSE, (16, 1)))
        assert lockstep.result().num_steps == 16
    assert len(lockstep.rig.targets) == 6 * 16


def test_a_simulator_that_does_not_answer_interrupts_the_chunk() -> None:
    with running_graph(env__simulator="kinematic", env__sensor_timeout="0.5") as graph:
        graph.rig.alive = False
        graph.rig.send(ramp(16, 0.01))
        result = graph.result()
    assert (result.status, result.num_steps, len(result.causes)) == (ExecutionResult.INTERRUPTED, 0, 1)
    assert "no joint states of the left arm" in result.message


def test_joint_states_that_stop_are_a_fault_and_the_robot_holds() -> None:
    with running_graph(model__action_horizon=str(HORIZON), robot__state_timeout="0.5") as graph:
        graph.rig.send(ramp(100, 0.002))
        graph.until(lambda: len(graph.rig.targets) >= 5)
        graph.rig.alive = False
        result = graph.result()
        assert result.status == ExecutionResult.FAULT
        assert result.num_steps == 0 and 5 <= len(result.causes) < 100  # It is not known whether the arms followed.
        graph.spin(0.1)
        targets = graph.rig.targets
    assert len(targets) == len(result.causes) + 1
    np.testing.assert_array_equal(targets[-1], targets[-2])


def test_fast_steps_are_limited_and_counted(real_time: Graph) -> None:
    # The chunk asks for 0.1, 0.2, ... rad, and gets at most 1, 2, ... times 0.03. A step whose timer is early is
    # shorter. After four steps at least 0.4 - 0.12 = 0.28 is left.
    real_time.rig.send(ramp(4, 0.1))
    result = real_time.result()
    assert list(result.causes) == [ExecutionResult.VELOCITY] * 4
    assert (result.status, result.num_clamped_steps) == (ExecutionResult.EXECUTED, 4)
    assert 0.2799 < result.max_clamp <= 0.4
    steps = np.diff(np.array(real_time.rig.targets)[:, 0], prepend=0.0)
    assert len(steps) == 4 and np.all((steps >= 0.0) & (steps <= REACH + 1e-6))


def test_half_a_pair_is_refused(real_time: Graph) -> None:
    real_time.rig.send(ramp(16, 0.0), sides=("left",))
    result = real_time.result()
    assert result.status == ExecutionResult.REFUSED
    assert "the right arm's trajectory did not come" in result.message


def test_wrong_joint_names_are_refused_once(real_time: Graph) -> None:
    stamp = real_time.rig.now()
    for side in aloha.SIDES:
        message = trajectory(ramp(16, 0.0)[:, aloha.side_slice(side)], stamp=stamp)
        message.joint_names = ["hip", *message.joint_names[1:]]
        real_time.rig.send_half(side, message)
    result = real_time.result()
    assert result.status == ExecutionResult.REFUSED
    assert "joint names must be waist, " in result.message
    assert "got hip, shoulder" in result.message
    real_time.spin(0.4)
    assert real_time.rig.results == []


def test_joints_may_come_in_any_order(real_time: Graph) -> None:
    stamp = real_time.rig.now()
    for side in aloha.SIDES:
        message = trajectory(ramp(4, 0.01)[:, aloha.side_slice(side)], stamp=stamp)
        message.joint_names.reverse()
        for point in message.points:
            point.positions.reverse()
        real_time.rig.send_half(side, message)
    assert real_time.result().status == ExecutionResult.EXECUTED
    np.testing.assert_allclose(real_time.rig.targets, ramp(4, 0.01), atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "age", "text"),
    [
        (ramp(16, np.nan), 0.0, "targets must be finite"),
        (ramp(16, 0.6), 0.0, "robot.max_start_jump"),
        (ramp(16, 0.0), 1.5, "robot.chunk_deadline"),
    ],
)
def test_unsafe_chunks_never_reach_the_controllers(
    real_time: Graph, targets: np.ndarray, age: float, text: str
) -> None:
    real_time.rig.send(targets, stamp=real_time.rig.now() - round(age * 1e9))
    result = real_time.result()
    assert (result.status, result.num_steps) == (ExecutionResult.REFUSED, 0)
    assert text in result.message
    real_time.spin(0.1)
    assert real_time.rig.targets == []


@pytest.mark.parametrize("event", [EpisodeEvent.PAUSED, EpisodeEvent.ENDED, EpisodeEvent.READY])
def test_a_pause_an_end_and_an_episode_that_waits_for_its_start_cancel_the_chunk(real_time: Graph, event: int) -> None:
    real_time.rig.send(ramp(100, 0.002))
    real_time.until(lambda: len(real_time.rig.targets) >= 3)
    real_time.rig.tell(event)
    result = real_time.result()
    assert result.status == ExecutionResult.CANCELLED
    assert 3 <= result.num_steps < 100
    real_time.rig.send(ramp(16, 0.0))
    assert "suspended" in real_time.result().message


def test_a_resumed_robot_plays_again(lockstep: Graph) -> None:
    lockstep.rig.tell(EpisodeEvent.PAUSED)
    lockstep.until(lambda: lockstep.robot.suspended != "")
    lockstep.rig.tell(EpisodeEvent.RESUMED)
    lockstep.until(lambda: lockstep.robot.suspended == "")
    lockstep.rig.send(ramp(16, 0.01))
    assert lockstep.result().status == ExecutionResult.EXECUTED


def leader(waist: float) -> np.ndarray:
    pose = np.array(aloha.START_POSE)
    pose[[0, 7]] = waist
    return pose


def test_a_human_takes_over_drives_and_hands_back(real_time: Graph) -> None:
    rig = real_time.rig
    rig.tell(EpisodeEvent.STARTED)
    real_time.spin(0.1)
    rig.send(ramp(100, 0.005))
    real_time.until(lambda: len(rig.targets) >= 5)
    real_time.call_takeover(True)
    cut = real_time.result()
    assert (cut.status, cut.human) == (ExecutionResult.TAKEOVER, False)
    assert 5 <= cut.num_steps < 100
    assert rig.takeovers[-1].human
    states = [(state.run_id, state.sender, state.human) for state in (rig.takeovers[0], rig.takeovers[-1])]
    assert states == [("", "robot_0", False), ("run", "robot_0", True)]  # the first is from before the run
    rig.send(ramp(4, 0.01))
    assert "a human drives" in real_time.result().message
    rig.leader = leader(0.1)
    real_time.until(lambda: len(rig.results) == 1)
    rig.leader = leader(0.0)
    real_time.call_takeover(False)
    rig.leader = None
    real_time.until(lambda: not rig.takeovers[-1].human)
    real_time.until(lambda: rig.results[-1].header.stamp == rig.takeovers[-1].segment)  # It is stored before.
    segments = [result for result in rig.results if result.human]
    assert [(segments[0].status, segments[0].num_steps)] == [(ExecutionResult.EXECUTED, HORIZON)]
    assert len(segments[0].commanded) == HORIZON * 14
    rig.results.clear()
    rig.send(np.tile(aloha.START_POSE, (8, 1)))
    assert real_time.result().status == ExecutionResult.EXECUTED
    path = np.array([aloha.START_POSE, *rig.targets])
    assert np.max(np.abs(np.diff(path[:, aloha.ARM_INDICES], axis=0))) <= REACH + 1e-6


def test_between_episodes_a_human_moves_the_real_robot_and_in_a_pause_nobody_does(real_time: Graph) -> None:
    rig = real_time.rig
    real_time.call_takeover(True)
    rig.leader = leader(0.05)
    real_time.until(lambda: len(rig.targets) >= 3)
    rig.tell(EpisodeEvent.ENDED)
    assert real_time.result().message == "the episode has ended"
    rig.leader = leader(0.1)
    real_time.until(lambda: rig.targets[-1][0] == pytest.approx(0.1, abs=1e-3))
    rig.tell(EpisodeEvent.PAUSED)
    real_time.until(lambda: real_time.robot.suspended == "paused")
    rig.leader = leader(0.0)
    real_time.spin(0.2)
    assert rig.targets[-1][0] == pytest.approx(0.1, abs=1e-3)
    assert rig.results == []  # What was moved is no segment.


def test_a_node_that_ends_cancels_its_chunk_and_says_so(real_time: Graph) -> None:
    real_time.rig.send(ramp(100, 0.002))
    real_time.until(lambda: len(real_time.rig.targets) >= 3)
    real_time.remove(real_time.robot)
    result = real_time.result()
    assert (result.status, result.message) == (ExecutionResult.CANCELLED, "robot_node is shutting down")
    assert 3 <= result.num_steps < 100
    real_time.spin(0.1)
    targets = real_time.rig.targets
    np.testing.assert_array_equal(targets[-1], targets[-2])  # It holds.


def test_a_human_drives_a_simulator_in_lockstep(lockstep: Graph) -> None:
    lockstep.call_takeover(True)
    lockstep.rig.leader = leader(0.05)
    lockstep.until(lambda: len(lockstep.rig.results) == 2)
    lockstep.call_takeover(False)
    first, second = lockstep.rig.results[:2]
    assert (first.human, first.num_steps, second.num_steps) == (True, 16, 16)
    # A joint that is asked to be at 0.05 rad, less than a step away, is there at once.
    np.testing.assert_allclose(np.array(first.commanded).reshape(16, 14)[:, 0], 0.05, atol=1e-6)
    count = len(lockstep.rig.targets)
    lockstep.spin(0.2)
    assert len(lockstep.rig.targets) == count


def test_unusable_joint_states_show_in_the_diagnostics(real_time: Graph) -> None:
    real_time.rig.alive = False
    real_time.rig.publish_state(JointState(name=["waist"], position=[0.0]), "right")

    def reported() -> bool:
        return any("right arm: joints must include" in d.status[0].message for d in real_time.rig.diagnostics)

    real_time.until(reported)


def test_an_arm_that_must_be_looked_after_shows_in_the_diagnostics(real_time: Graph) -> None:
    rig = real_time.rig

    def reported(text: str) -> bool:
        return any(each.status[0].message.startswith(text) for each in rig.diagnostics)

    real_time.until(lambda: reported("idle"))
    rig.send(ramp(2, 0.01))
    assert real_time.result().status == ExecutionResult.EXECUTED
    for _ in range(20):  # The arm sinks, more slowly than its motors can turn.
        rig.state = rig.state - 0.04 * (np.arange(14) == 0)
        real_time.spin(0.04)
    real_time.until(lambda: reported("the robot does not move: the left waist is 0.8"))
    rig.alive = False
    real_time.until(lambda: reported("the robot does not move: no joint states of the left arm for "))


def test_the_process_has_no_jax_and_ends_cleanly() -> None:
    code = (
        "import sys; from chunk_ppo_ros.nodes.robot import robot_node; assert 'jax' not in sys.modules;"
        "sys.exit(robot_node.main(['--ros-args', '-p', 'env.simulator:=none']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "plays chunks at 50 Hz" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 0, errors
    assert errors == ""


def test_a_wrong_setting_ends_the_process_with_the_reason() -> None:
    code = "import sys; from chunk_ppo_ros.nodes.robot import robot_node; sys.exit(robot_node.main())"
    words = ["--ros-args", "-p", "robot.control_rat:=50.0"]
    done = run_program(code, *words)
    assert done.returncode == 2
    assert "robot.control_rat" in done.stderr
    assert "Traceback" not in done.stderr


def failed_read(graph: Graph, value: float) -> None:
    """Publishes what a driver reports after a failed read: each joint of the left arm at `value`, rad."""
    message = StateMessage(CONVENTION).fill(aloha.START_POSE[:7], stamp=graph.rig.now())
    message.position = [value] * len(message.name)
    graph.rig.publish_state(message, "left")


@pytest.mark.parametrize("value", [-3.14159, 0.0])
def test_joint_states_of_a_failed_read_stop_a_chunk_and_move_nothing(real_time: Graph, value: float) -> None:
    real_time.rig.send(ramp(16, 0.01))
    real_time.until(lambda: len(real_time.rig.targets) >= 4)
    failed_read(real_time, value)
    result = real_time.result()
    assert result.status == ExecutionResult.FAULT
    assert "joint states of the left arm are not believed" in result.message
    real_time.spin(0.1)
    commands = np.array([aloha.START_POSE, *real_time.rig.targets])
    assert np.max(np.abs(np.diff(commands, axis=0))) <= 0.01 + 1e-6
    assert np.max(np.abs(commands[-1] - commands[len(result.causes)])) < 1e-6


@pytest.mark.parametrize("value", [-3.14159, 0.0])
def test_no_chunk_is_executed_where_every_fifth_reading_fails(real_time: Graph, value: float) -> None:
    """The readings must agree for a while, and they never do for long enough."""
    real_time.rig.create_timer(5 * PERIOD, lambda: failed_read(real_time, value))
    real_time.spin(0.3)
    for _ in range(5):
        real_time.rig.send(ramp(16, 0.01))
        result = real_time.result()
        assert result.status in (ExecutionResult.REFUSED, ExecutionResult.FAULT)
        assert "joint states of the left arm are not believed" in result.message
    commands = np.array([aloha.START_POSE, *real_time.rig.targets])
    assert np.max(np.abs(commands - aloha.START_POSE)) < 0.1


def test_a_chunk_of_a_robot_with_limited_acceleration_starts_and_ends_at_rest() -> None:
    with running_graph(robot__max_acceleration="10.0") as graph:
        graph.rig.send(ramp(16, 0.01))
        result = graph.result()
        assert (result.status, result.num_steps) == (ExecutionResult.EXECUTED, 16)
        commands = np.array([aloha.START_POSE, *np.reshape(result.commanded, (-1, 14))])
        graph.until(lambda: len(graph.rig.target_stamps) >= len(result.causes))
        gaps = np.diff(np.array(graph.rig.target_stamps)[: len(result.causes)], prepend=0) / 1e9
    steps = np.diff(commands, axis=0)
    before = np.concatenate([np.zeros((1, 14)), steps[:-1]])
    changes = np.max(np.abs(steps - before)[:, aloha.ARM_INDICES], axis=1)
    from_rest = np.max(np.abs(steps)[:, aloha.ARM_INDICES], axis=1)
    rested = gaps > 2.5 * PERIOD  # On a busy machine commands fail to come for so long that the robot comes to rest.
    assert np.max(np.where(rested, np.minimum(changes, from_rest), changes)) <= 10.0 * PERIOD**2 + 1e-6
    assert np.max(np.abs(steps[-1])) <= 10.0 * PERIOD**2 + 1e-6
    np.testing.assert_allclose(commands[-1], ramp(16, 0.01)[-1], atol=1e-6)
    assert len(result.causes) > 16 and result.causes[0] == ExecutionResult.ACCELERATION


def long_half(graph: Graph, num_points: int) -> JointTrajectory:
    targets = np.tile(aloha.START_POSE[:7], (num_points, 1))
    return trajectory(targets, stamp=graph.rig.now())


@pytest.mark.parametrize(
    ("num_points", "text"),
    [(101, "at most 100 points (model.action_horizon), got 101"), (30_000, "at most 29696 bytes for 100 points")],
)
def test_a_half_with_too_many_points_is_refused(real_time: Graph, num_points: int, text: str) -> None:
    message = long_half(real_time, num_points)
    real_time.rig.send_half("left", message)
    result = real_time.result()
    assert (result.status, time_to_ns(result.header.stamp)) == (
        ExecutionResult.REFUSED,
        time_to_ns(message.header.stamp),
    )
    assert text in result.message


def test_a_chunk_that_no_controller_listens_to_is_not_executed(real_time: Graph) -> None:
    silent = real_time.rig.command_subscriptions.pop()
    topic = silent.topic_name
    recorder = Node("rosbag2_recorder")  # It listens, and moves nothing.
    recorder.create_subscription(JointTrajectory, topic, print, qos.COMMAND)
    real_time.until(lambda: real_time.robot.count_subscribers(topic) == 2)
    real_time.rig.send(ramp(16, 0.01))
    real_time.until(lambda: bool(real_time.rig.targets))
    real_time.rig.destroy_subscription(silent)
    result = real_time.result()
    assert result.status == ExecutionResult.FAULT
    assert f"nobody listens to {topic}; start the controllers" in result.message
    real_time.rig.send(ramp(16, 0.01))
    assert real_time.result().status == ExecutionResult.REFUSED
    recorder.destroy_node()


def test_an_arm_that_does_not_follow_is_a_fault_and_is_not_pressed_on() -> None:
    parameters = {"robot__max_following_error": "0.05", "robot__max_velocity": "1.0"}
    with running_graph(model__action_horizon=str(HORIZON), **parameters) as graph:
        graph.rig.send(ramp(HORIZON, 0.01))
        graph.until(lambda: len(graph.rig.targets) > 10)
        graph.rig.follows = False  # it meets an obstacle
        result = graph.result()
        assert (result.status, result.num_steps) == (ExecutionResult.FAULT, 0)
        assert "does not follow: it is at" in result.message and "(robot.max_following_error)" in result.message
        graph.until(lambda: np.allclose(graph.rig.targets[-1], graph.rig.state, rtol=0.0, atol=1e-6))


def test_a_pause_stops_a_robot_that_gives_way() -> None:
    parameters = {"robot__max_following_error": "0.05", "robot__max_velocity": "1.0"}
    with running_graph(model__action_horizon=str(HORIZON), **parameters) as graph:
        graph.rig.send(ramp(HORIZON, 0.01))
        graph.until(lambda: len(graph.rig.targets) > 10)
        graph.rig.follows = False
        assert graph.result().status == ExecutionResult.FAULT
        graph.rig.tell(EpisodeEvent.PAUSED)
        graph.until(lambda: not graph.robot.moves)
        graph.spin(0.5)
        assert np.max(np.abs(graph.rig.targets[-1] - graph.rig.state)) > 0.05  # It would have come there else.


def send_from(graph: Graph, *, run_id: str = "run", age: float = 0.0) -> ExecutionResult:
    """Sends a chunk of a run whose observation has an age, s, and returns its result."""
    stamp = graph.rig.now()
    for side in aloha.SIDES:
        half = ramp(16, 0.01)[:, aloha.side_slice(side)]
        graph.rig.send_half(side, trajectory(half, stamp=stamp, seen=stamp - round(age * 1e9), run_id=run_id))
    return graph.result()


def test_a_chunk_from_an_old_observation_is_refused(real_time: Graph) -> None:
    result = send_from(real_time, age=2.5)
    assert result.status == ExecutionResult.REFUSED
    assert "must not be older than 2.0 s (robot.max_observation_age), got 2.5" in result.message
    ahead = send_from(real_time, age=-3.0)
    assert ahead.status == ExecutionResult.REFUSED and "s ahead of this clock" in ahead.message[:90]
    assert send_from(real_time, age=1.0).status == ExecutionResult.EXECUTED


def test_in_lockstep_an_observation_from_ahead_is_of_another_simulator(
    lockstep: Graph,
) -> None:
    ahead = send_from(lockstep, age=-3.0)
    assert ahead.status == ExecutionResult.REFUSED and "s ahead of the simulated time; sim_node was" in ahead.message
    assert "synchronize" not in ahead.message


def test_a_chunk_of_another_run_is_refused(real_time: Graph) -> None:
    real_time.rig.tell(EpisodeEvent.STARTED)
    real_time.spin(0.2)
    result = send_from(real_time, run_id="other")
    assert (result.status, real_time.rig.targets) == (ExecutionResult.REFUSED, [])
    assert "a chunk must be of the run run, got other; stop the other policy" in result.message


def test_the_start_of_an_episode_that_comes_again_confirms_nothing() -> None:
    with running_graph(robot__max_start_jump="0.2") as graph:
        start = EpisodeEvent(header=header_of(graph.rig.now()), run_id="run", event=EpisodeEvent.STARTED)
        graph.rig.events.publish(start)
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED
        for number in range(1, 31):  # Somebody moves the arm away by 0.3 rad while nothing is executed.
            graph.rig.state = graph.rig.targets[-1] + 0.01 * number * (np.arange(14) == 0)
            graph.spin(0.02)
        graph.spin(0.5)
        graph.rig.events.publish(start)
        graph.spin(0.2)
        graph.rig.send(graph.rig.state + ramp(16, 0.01) - aloha.START_POSE)
        assert graph.result().status == ExecutionResult.REFUSED
        graph.rig.tell(EpisodeEvent.STARTED)
        graph.spin(0.2)
        graph.rig.send(graph.rig.state + ramp(16, 0.01) - aloha.START_POSE)
        assert graph.result().status == ExecutionResult.EXECUTED


def test_a_trajectory_that_does_not_say_its_chunk_is_refused(real_time: Graph) -> None:
    message = trajectory(ramp(16, 0.01)[:, :7], stamp=real_time.rig.now())
    message.header.frame_id = "world"
    real_time.rig.send_half("left", message)
    result = real_time.result()
    assert result.status == ExecutionResult.REFUSED
    assert "header.frame_id must be RUN/NUMBER/STAMP" in result.message and "got 'world'" in result.message


def call_emergency_stop(graph: Graph, stop: bool) -> SetBool.Response:
    client = graph.rig.create_client(SetBool, "robot_node/emergency_stop")
    graph.until(client.service_is_ready)
    future = client.call_async(SetBool.Request(data=stop))
    graph.until(future.done)
    return future.result()


@pytest.mark.parametrize("profile", [qos.RELIABLE, qos.SENSOR], ids=["reliable", "best effort"])
def test_an_emergency_stop_brakes_and_holds_over_a_restart_until_it_is_cleared(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, profile: QoSProfile
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros"))
    parameters = {"robot__max_acceleration": "10.0", "run__run_dir": str(tmp_path), "model__action_horizon": "100"}
    with running_graph(**parameters) as graph:
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        publisher = graph.rig.create_publisher(Bool, "emergency_stop", profile, event_callbacks=quiet)
        graph.until(lambda: bool(publisher.get_subscription_count()))
        graph.rig.send(ramp(100, 0.01))
        graph.until(lambda: len(graph.rig.targets) >= 20)
        publisher.publish(Bool(data=True))
        result = graph.result()
        assert result.status == ExecutionResult.FAULT
        assert "emergency stop: by the topic emergency_stop; look at the robot, then call" in result.message
        publisher.publish(Bool(data=False))  # clears nothing
        graph.spin(0.3)
        executed = np.reshape(result.commanded, (-1, 14))[:, 0]
        graph.until(lambda: not graph.robot.moves)
        # It has braked, unless a busy machine let no command come for so long that the robot was at rest already.
        assert graph.rig.targets[-1][0] > executed[-1] or np.max(np.diff(graph.rig.target_stamps)) > 2.5e9 * PERIOD
        graph.rig.diagnostics.clear()
        graph.until(lambda: bool(graph.rig.diagnostics))
        assert "the robot does not move: emergency stop" in graph.rig.diagnostics[-1].status[0].message
    assert (tmp_path / "ros/chunk_ppo_ros/emergency_stop").read_text() == "by the topic emergency_stop"
    with running_graph(run__exp_name="another_run", **parameters) as graph:
        graph.rig.send(ramp(16, 0.01))
        refused = graph.result()
        assert (refused.status, graph.rig.targets) == (ExecutionResult.REFUSED, [])
        assert "emergency stop: by the topic emergency_stop" in refused.message
        assert call_emergency_stop(graph, False).success
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED
        answer = call_emergency_stop(graph, True)
        assert answer.success and "by the service emergency_stop" in answer.message
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.REFUSED


def test_a_released_switch_stops_the_robot_and_a_pressed_one_lets_it_go_on() -> None:
    # The timeout is so long that a busy machine, on which the press comes late, does not end it.
    with running_graph(robot__deadman_timeout="1.5", model__action_horizon=str(HORIZON)) as graph:
        publisher = graph.rig.create_publisher(Bool, "deadman", qos.RELIABLE)
        graph.until(lambda: bool(publisher.get_subscription_count()))
        graph.rig.send(ramp(16, 0.01))
        assert "the switch on the topic deadman is not pressed" in graph.result().message
        pressing = graph.rig.create_timer(0.05, lambda: publisher.publish(Bool(data=True)))
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.005))
        assert graph.result().status == ExecutionResult.EXECUTED
        graph.rig.send(ramp(HORIZON, 0.002))
        graph.until(lambda: len(graph.rig.targets) > 20)
        pressing.cancel()  # The message that it is released may be lost: silence counts as released.
        result = graph.result()
        assert (result.status, "robot.deadman_timeout 1.5 s" in result.message) == (ExecutionResult.FAULT, True)


def test_messages_of_a_switch_that_have_waited_do_not_count() -> None:
    with running_graph(robot__deadman_timeout="2.0") as graph:
        publisher = graph.rig.create_publisher(Bool, "deadman", qos.RELIABLE)
        graph.until(lambda: bool(publisher.get_subscription_count()))
        for _ in range(5):
            publisher.publish(Bool(data=True))
        time.sleep(2.5)  # Nobody takes them, as where robot_node was stopped for a while.
        graph.spin(0.1)
        graph.rig.send(ramp(16, 0.01))
        text = graph.result().message
        assert "deadman is not pressed" in text and "a message was sent " in text and "see whether it is late" in text
        pressing = graph.rig.create_timer(0.02, lambda: publisher.publish(Bool(data=True)))
        graph.spin(0.1)
        graph.rig.send(ramp(2, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED
        pressing.cancel()


def test_a_robot_whose_node_starts_in_an_episode_waits_for_an_operator() -> None:
    with running_graph(robot__confirm_start="true") as graph:
        for seconds in (-10, 10):  # from before the start, by this clock or by one that was set back since
            header = header_of(graph.rig.now() + seconds * 10**9)
            graph.rig.events.publish(EpisodeEvent(header=header, run_id="run", event=EpisodeEvent.STARTED))
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.01))
        result = graph.result()
        assert (result.status, graph.rig.targets) == (ExecutionResult.REFUSED, [])
        assert "robot_node has started (robot.confirm_start); look at the robot" in result.message
        graph.rig.tell(EpisodeEvent.RESUMED)  # A pause may end by itself.
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.REFUSED
        confirm = graph.rig.create_client(Trigger, "robot_node/confirm_motion")
        graph.until(confirm.service_is_ready)
        future = confirm.call_async(Trigger.Request())
        graph.until(future.done)
        answer = future.result()
        assert answer is not None and answer.success and answer.message == "the robot may move from where it is"
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED
    with running_graph(robot__confirm_start="true") as graph:
        graph.rig.tell(EpisodeEvent.STARTED)
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED


def test_a_cleared_emergency_stop_lets_nothing_move_before_an_operator_confirms_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    with running_graph(robot__confirm_start="true") as graph:
        graph.rig.tell(EpisodeEvent.STARTED)
        assert call_emergency_stop(graph, False).success  # There is none, so that nothing is to be confirmed.
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED
        call_emergency_stop(graph, True)
        assert call_emergency_stop(graph, False).success
        graph.rig.send(ramp(16, 0.01))
        result = graph.result()
        assert result.status == ExecutionResult.REFUSED
        assert "an emergency stop was cleared (robot.confirm_start); look at the robot" in result.message
        graph.rig.tell(EpisodeEvent.STARTED)
        graph.spin(0.2)
        graph.rig.send(ramp(16, 0.01))
        assert graph.result().status == ExecutionResult.EXECUTED


def send_from_twin(graph: Graph, publishers: dict[str, Publisher]) -> None:
    stamp = graph.rig.now()
    for side, publisher in publishers.items():
        publisher.publish(trajectory(ramp(16, 0.01)[:, aloha.side_slice(side)], stamp=stamp))


def test_two_policy_nodes_of_one_name_are_found_and_neither_is_followed(real_time: Graph) -> None:
    names = {side: f"robot/{side}/joint_trajectory" for side in aloha.SIDES}
    real_time.spin(1.1)  # It looks once a second, and knows the rig then.
    twin = Node("rig")
    publishers = {side: twin.create_publisher(JointTrajectory, name, qos.COMMAND) for side, name in names.items()}
    real_time.until(lambda: real_time.robot.count_publishers(names["left"]) == 2)
    real_time.until(lambda: all(publisher.get_subscription_count() for publisher in publishers.values()))
    real_time.spin(1.1)
    send_from_twin(real_time, publishers)  # A policy_node that was started anew looks like this.
    assert real_time.result().status == ExecutionResult.EXECUTED
    for send in (lambda: real_time.rig.send(ramp(16, 0.01)), lambda: send_from_twin(real_time, publishers)):
        send()
        result = real_time.result()
        assert result.status == ExecutionResult.REFUSED
        assert "two nodes are named /rig and publish on robot/left/joint_trajectory" in result.message
    twin.destroy_node()
    real_time.until(lambda: real_time.robot.count_publishers(names["left"]) == 1)
    real_time.rig.send(real_time.rig.state + ramp(16, 0.01) - aloha.START_POSE)
    assert real_time.result().status == ExecutionResult.EXECUTED


def test_a_second_robot_node_is_found(real_time: Graph) -> None:
    twin = Node("robot_node")
    twin.create_publisher(ExecutionResult, "execution_result", qos.RELIABLE)
    real_time.until(lambda: real_time.robot.count_publishers("execution_result") == 2)
    real_time.spin(1.1)
    real_time.rig.send(ramp(16, 0.01))
    result = real_time.result()
    assert result.status == ExecutionResult.REFUSED
    assert "two nodes are named /robot_node and publish on execution_result; stop one of them" in result.message
    twin.destroy_node()


def test_a_second_node_that_publishes_trajectories_is_named_and_not_followed(real_time: Graph) -> None:
    real_time.rig.send(ramp(16, 0.01))
    assert real_time.result().status == ExecutionResult.EXECUTED
    intruder = Node("intruder")
    publisher = intruder.create_publisher(JointTrajectory, "robot/left/joint_trajectory", qos.COMMAND)
    real_time.until(lambda: bool(publisher.get_subscription_count()))
    real_time.until(lambda: real_time.robot.count_publishers("robot/left/joint_trajectory") == 2)
    real_time.rig.targets.clear()
    stamp = real_time.rig.now()
    publisher.publish(trajectory(ramp(16, 0.01)[:, :7], stamp=stamp))
    real_time.rig.send(ramp(16, 0.01), stamp=stamp, sides=("right",))
    result = real_time.result()
    assert (result.status, real_time.rig.targets) == (ExecutionResult.REFUSED, [])
    assert "/intruder publishes on robot/left/joint_trajectory beside /rig; stop one of them" in result.message
    intruder.destroy_node()
    real_time.until(lambda: real_time.robot.count_publishers("robot/left/joint_trajectory") == 1)
    real_time.rig.send(ramp(16, 0.01))
    assert real_time.result().status == ExecutionResult.EXECUTED


def test_robot_node_moves_the_robot_only_while_it_is_active() -> None:
    with running_graph(run__autostart="false", model__action_horizon=str(HORIZON)) as graph:
        graph.rig.send(ramp(16, 0.01))
        refused = graph.result()
        assert (refused.status, graph.rig.targets) == (ExecutionResult.REFUSED, [])
        assert f"robot_node is not active; call `{lifecycle_change('/robot_node', 'activate')}`" in refused.message
        assert graph.robot.trigger_configure() == graph.robot.trigger_activate() == TransitionCallbackReturn.SUCCESS
        graph.rig.send(ramp(HORIZON, 0.002))
        graph.until(lambda: len(graph.rig.targets) > 5)
        graph.robot.trigger_deactivate()
        assert graph.result().status == ExecutionResult.CANCELLED
        sent = len(graph.rig.targets)
        graph.spin(0.2)
        assert len(graph.rig.targets) <= sent + 1  # the position to hold
        graph.robot.trigger_activate()
        graph.rig.send(ramp(16, 0.0) + graph.rig.targets[-1] - aloha.START_POSE)
        assert graph.result().status == ExecutionResult.EXECUTED


def test_the_speed_can_be_lowered_while_the_node_runs(real_time: Graph) -> None:
    def set_speed(value: float) -> SetParametersResult:
        return real_time.robot.set_parameters([Parameter("robot.max_velocity", value=value)])[0]

    assert set_speed(0.5).successful
    real_time.rig.send(ramp(16, 0.02))
    assert real_time.result().status == ExecutionResult.EXECUTED
    steps = np.diff(np.array(real_time.rig.targets)[:, 0], prepend=0.0)
    assert 0.009 < np.max(steps) <= 0.5 * PERIOD + 1e-6
    assert not set_speed(1.6).successful
    assert not set_speed(0.0).successful
    both = [Parameter("robot.max_velocity", value=value) for value in (0.1, 1.6)]
    assert not real_time.robot.set_parameters_atomically(both).successful
    assert real_time.robot.get_parameter("robot.max_velocity").value == 0.5
    real_time.rig.targets.clear()
    start = real_time.rig.state.copy()
    real_time.rig.send(start + ramp(16, 0.02) - aloha.START_POSE)
    real_time.result()
    steps = np.diff(np.array(real_time.rig.targets)[:, 0], prepend=start[0])
    assert 0.009 < np.max(steps) <= 0.5 * PERIOD + 1e-6
    assert set_speed(1.5).successful


@pytest.mark.parametrize("offset", [5.0, -5.0])
def test_a_driver_whose_clock_is_wrong_is_named_and_the_robot_goes_on_within_a_second_of_its_mending(
    real_time: Graph, offset: float
) -> None:
    real_time.rig.send(ramp(50, 0.01))
    real_time.until(lambda: len(real_time.rig.targets) > 5)
    real_time.rig.clock_offset = offset
    result = real_time.result()
    assert result.status == ExecutionResult.FAULT
    assert "got 5.0 s " in result.message and "synchronize the clock of the driver's machine" in result.message
    real_time.spin(0.3)
    real_time.rig.clock_offset = 0.0
    real_time.spin(0.8)
    real_time.rig.send(real_time.rig.state + ramp(16, 0.01) - aloha.START_POSE)
    result = real_time.result()
    assert result.status == ExecutionResult.EXECUTED
    assert max(real_time.rig.stamps) <= real_time.rig.now()
    assert time_to_ns(result.end) <= real_time.rig.now()


def test_a_chunk_of_an_arm_without_torque_is_a_fault_and_has_no_step_that_counts() -> None:
    with running_graph(robot__max_following_error="0.3") as graph:
        graph.rig.follows = False
        graph.rig.send(ramp(16, 0.01))
        result = graph.result()
        assert (result.status, result.num_steps) == (ExecutionResult.FAULT, 0)
        assert "waist did not move: it was commanded by 0.15 rad and turned by 0.000 rad" in result.message
