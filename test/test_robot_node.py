"""Tests robot_node over real topics. `robot_rig.py` plays drivers and policy in the same process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from sensor_msgs.msg import JointState

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.joints import arm_trajectory_to_message
from chunk_ppo_ros.robot import aloha
from support.robot_rig import PERIOD, Graph, running_graph

pytestmark = pytest.mark.graph

REACH = 3.14159 * PERIOD


@pytest.fixture
def real_time() -> Iterator[Graph]:
    with running_graph() as graph:
        yield graph


@pytest.fixture
def lockstep() -> Iterator[Graph]:
    with running_graph(env__simulator="kinematic", env__sensor_timeout="0.5") as graph:
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


def test_lockstep_without_an_answer_ends_in_a_fault(lockstep: Graph) -> None:
    lockstep.rig.alive = False
    lockstep.rig.send(ramp(16, 0.01))
    result = lockstep.result()
    assert (result.status, result.num_steps) == (ExecutionResult.FAULT, 1)
    assert "no joint states of the left arm" in result.message


def test_joint_states_that_stop_are_a_fault_and_the_robot_holds(real_time: Graph) -> None:
    real_time.rig.send(ramp(100, 0.002))
    real_time.until(lambda: len(real_time.rig.targets) >= 5)
    real_time.rig.alive = False
    result = real_time.result()
    assert result.status == ExecutionResult.FAULT
    assert 5 <= result.num_steps < 100
    real_time.spin(0.1)
    targets = real_time.rig.targets
    assert len(targets) == result.num_steps + 1
    np.testing.assert_array_equal(targets[-1], targets[-2])


def test_fast_steps_are_limited_and_counted(real_time: Graph) -> None:
    # The chunk asks for 0.1, 0.2, ... rad, and gets 1, 2, ... times 0.0628318. After four steps 0.4 - 0.2513272 =
    # 0.1486728 is left.
    real_time.rig.send(ramp(4, 0.1))
    result = real_time.result()
    assert list(result.causes) == [ExecutionResult.VELOCITY] * 4
    assert (result.status, result.num_clamped_steps) == (ExecutionResult.EXECUTED, 4)
    assert result.max_clamp == pytest.approx(0.1486728, abs=1e-5)
    np.testing.assert_allclose(np.array(real_time.rig.targets)[:, 0], REACH * np.arange(1, 5), atol=1e-6)


def test_half_a_pair_is_refused(real_time: Graph) -> None:
    real_time.rig.send(ramp(16, 0.0), sides=("left",))
    result = real_time.result()
    assert result.status == ExecutionResult.REFUSED
    assert "the right arm's trajectory did not come" in result.message


def test_wrong_joint_names_are_refused_once(real_time: Graph) -> None:
    stamp = real_time.rig.now()
    for side in aloha.SIDES:
        message = arm_trajectory_to_message(ramp(16, 0.0)[:, aloha.side_slice(side)], stamp=stamp, period=PERIOD)
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
        message = arm_trajectory_to_message(ramp(4, 0.01)[:, aloha.side_slice(side)], stamp=stamp, period=PERIOD)
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


@pytest.mark.parametrize("event", [EpisodeEvent.PAUSED, EpisodeEvent.ENDED])
def test_a_pause_and_an_end_cancel_the_chunk(real_time: Graph, event: int) -> None:
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
    segments = [result for result in rig.results if result.human]
    assert [(segments[0].status, segments[0].num_steps)] == [(ExecutionResult.EXECUTED, 16)]
    assert len(segments[0].commanded) == 16 * 14
    assert time_to_ns(rig.takeovers[-1].segment) == time_to_ns(segments[-1].header.stamp)
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
    lockstep.until(lambda: len(lockstep.rig.results) == 2, timeout=20.0)
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


def test_the_process_has_no_jax_and_ends_cleanly() -> None:
    code = (
        "import sys; from chunk_ppo_ros.nodes.robot import robot_node; assert 'jax' not in sys.modules;"
        "sys.exit(robot_node.main(['--ros-args', '-p', 'env.simulator:=none']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "plays chunks at 50 Hz" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10.0)
    assert process.returncode == 0, errors
    assert errors == ""


def test_a_wrong_setting_ends_the_process_with_the_reason() -> None:
    code = "import sys; from chunk_ppo_ros.nodes.robot import robot_node; sys.exit(robot_node.main())"
    words = ["--ros-args", "-p", "robot.control_rat:=50.0"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=20.0, check=False
    )
    assert done.returncode == 2
    assert "robot.control_rat" in done.stderr
    assert "Traceback" not in done.stderr
