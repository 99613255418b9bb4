"""Tests the parts of robot_node: its diagnostics, who drives, and joint states that cannot be used."""

from __future__ import annotations

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.robot.driver_publisher import DriverPublisher
from chunk_ppo_ros.nodes.robot.intake.joint_state_intake import JointStateIntake
from chunk_ppo_ros.nodes.robot.robot_backends import goals_dropped, only_waits
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.robot.ros2_control import Ros2ControlBackend
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import STATE_JOINTS, StateMessage, leader_message
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.leaders.handover import Leaders
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.executions import execution
from support.fake_node import FakeNode

CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]

SIMULATED = TrustRule.of(RobotConfig(), simulated=True)

NO_STATES = "waits for joint states, which have not come yet of"


# The tests below check the diagnostics of robot_node.


def said(diagnostics: RobotDiagnostics, **changes: object) -> tuple[bytes, str]:
    """Returns the level and the text of an idle robot with joint states of both arms, but for `changes`."""
    idle: dict[str, object] = {"playing": False, "suspended": "", "arms": aloha.SIDES, "human": False, "problem": ""}
    idle["now"] = 0
    status = diagnostics.status(**{**idle, **changes})  # type: ignore[arg-type]
    assert status.name == "robot_node: chunk player"
    return status.level, status.message


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({}, DiagnosticStatus.OK, "idle"),
        ({"playing": True}, DiagnosticStatus.OK, "playing"),
        ({"arms": ("left",), "is_starting": True}, DiagnosticStatus.WARN, f"{NO_STATES}: right"),
        ({"arms": ()}, DiagnosticStatus.ERROR, f"{NO_STATES}: left, right"),
        ({"obstacle": "no driver"}, DiagnosticStatus.ERROR, "the robot does not move: no driver"),
        ({"obstacle": "no driver", "is_starting": True}, DiagnosticStatus.ERROR, "the robot does not move: no driver"),
        (
            {"obstacle": "no driver", "is_starting": True, "start_wait": "waits for drivers", "arms": ()},
            DiagnosticStatus.WARN,
            "waits for drivers",
        ),
        ({"suspended": "paused"}, DiagnosticStatus.WARN, "suspended: paused"),
        ({"suspended": "paused", "human": True}, DiagnosticStatus.WARN, "suspended: paused"),
        ({"human": True}, DiagnosticStatus.OK, "a human drives"),
        ({"human": True, "problem": "it is far"}, DiagnosticStatus.WARN, "a human drives; it is far"),
    ],
)
def test_the_diagnostics_say_what_the_robot_does(changes: dict[str, object], level: bytes, text: str) -> None:
    assert said(RobotDiagnostics(), **changes) == (level, text)


def test_a_fault_and_bad_joint_states_are_errors_until_they_are_over() -> None:
    diagnostics = RobotDiagnostics()
    diagnostics.note_result(ExecutionResult.nothing(Status.FAULT, "no joint states"))
    assert said(diagnostics) == (DiagnosticStatus.ERROR, "stopped: no joint states")
    assert said(diagnostics, playing=True) == (DiagnosticStatus.OK, "playing")
    diagnostics.note_bad_states("right", "no elbow")
    diagnostics.note_bad_states("left", "no waist")
    text = "joint states cannot be used: left arm: no waist; right arm: no elbow"
    assert said(diagnostics, arms=("left",)) == (DiagnosticStatus.ERROR, text)
    starting = said(diagnostics, obstacle="no driver", start_wait="waits for drivers", is_starting=True)
    assert starting == (DiagnosticStatus.ERROR, "the robot does not move: no driver")
    for arm in ("left", "right", "right"):
        diagnostics.note_good_states(arm)
    diagnostics.note_result(ExecutionResult.whole(4))
    assert said(diagnostics) == (DiagnosticStatus.OK, "idle")
    for is_starting in (True, False):  # Joint states that came and went are no usual wait.
        waiting = said(diagnostics, waits="no joint states", suspended="paused", is_starting=is_starting)
        assert waiting == (DiagnosticStatus.ERROR, "the robot does not move: no joint states")


def test_the_diagnostics_count_results_and_steps() -> None:
    diagnostics = RobotDiagnostics()
    for result in (execution(3, clamped=2), execution(4, clamped=1), ExecutionResult.nothing(Status.REFUSED, "late")):
        diagnostics.note_result(result)
    status = diagnostics.status(playing=False, suspended="", arms=aloha.SIDES, human=False, problem="", now=0)
    values = {value.key: value.value for value in status.values}
    assert values == {
        "chunks_executed": "2",
        "chunks_refused": "1",
        "chunks_fault": "0",
        "chunks_takeover": "0",
        "chunks_cancelled": "0",
        "chunks_limited": "0",
        "chunks_interrupted": "0",
        "num_steps": "7",
        "num_clamped_steps": "3",
        "num_holds": "0",
        "waits for": "",
        "human_drives": "0",
        "last_result": "REFUSED late",
        "age of left arm": "nan",
        "age of right arm": "nan",
    }


# The tests below check what robot_node publishes of the driver.


def test_the_driver_is_published_when_it_changes_and_so_is_each_segment() -> None:
    node = FakeNode()
    driver = DriverPublisher(node, Conditions(node))  # type: ignore[arg-type]
    node.now = 5
    driver.update(run_id="", human=False, segment=0, problem="")
    driver.update(run_id="run", human=False, segment=0, problem="")
    (first,) = node.published("takeover_state")
    assert (first.run_id, first.sender, first.human, time_to_ns(first.header.stamp)) == ("", DEFAULT_SENDER, False, 5)
    assert node.take_lines() == []
    for problem in ("bring it there", "bring it there", ""):
        driver.update(run_id="run", human=True, segment=0, problem=problem)
    driver.update(run_id="run", human=True, segment=77, problem="")
    driver.update(run_id="run", human=False, segment=77, problem="")
    published = [(each.human, time_to_ns(each.segment), each.message) for each in node.published("takeover_state")]
    assert published == [(True, 0, "bring it there"), (True, 0, ""), (True, 77, ""), (False, 77, "")]
    assert node.take_lines() == [
        ("info", "a human drives"),
        ("warning", "the robot holds: bring it there"),
        ("info", "the robot no longer holds"),
        ("info", "the policy drives"),
    ]


# The tests below check how robot_node reads and writes joint states.


def test_joint_states_that_cannot_be_used_are_reported_for_each_arm_and_each_leader() -> None:
    node, diagnostics, ticks = FakeNode(), RobotDiagnostics(), []
    player = ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=SIMULATED)
    JointStateIntake(
        node,  # type: ignore[arg-type]
        player,
        CONVENTION,
        diagnostics=diagnostics,
        conditions=Conditions(node),  # type: ignore[arg-type]
        profile=qos.JOINT_STATES,
        note_sender=lambda topic, callback: callback,
        tells_currents=False,
        on_arm_states=lambda: ticks.append(1),
    )
    for topic in ("follower_left/joint_states", "leader_right/joint_states"):
        for _ in range(2):
            node.subscribers[topic](JointState(name=["waist"], position=[0.0]))
    levels = [(level, text.partition(": ")[0]) for level, text in node.take_lines()]
    assert levels == [
        ("error", "joint states of the left arm are not used"),
        ("error", "joint states of the right leader are not used"),
    ]
    level, text = said(diagnostics)
    assert (level, text.count("joints must include")) == (DiagnosticStatus.ERROR, 2)
    assert (ticks, player.state_stamps) == ([], {})
    pose = aloha.START_POSE[:7]
    node.subscribers["follower_left/joint_states"](StateMessage(CONVENTION).fill(pose, stamp=9))
    node.subscribers["leader_right/joint_states"](leader_message(pose, stamp=9, convention=CONVENTION))
    assert (ticks, player.state_stamps) == ([1], {"left": 9})
    assert node.take_lines() == [
        ("info", "joint states of the left arm are used again"),
        ("info", "joint states of the right leader are used again"),
    ]
    assert said(diagnostics) == (DiagnosticStatus.OK, "idle")
    node.subscribers["follower_right/joint_states"](StateMessage(CONVENTION).fill(pose, stamp=9))
    player.take_over()
    target = player.tick(time.monotonic())
    assert target is not None
    np.testing.assert_allclose(target, aloha.START_POSE, atol=1e-6)  # The right leader is followed.


def test_a_finger_where_it_cannot_be_is_named_once() -> None:
    """The motor is read, so that the arm goes on. Without a motor the gate doubts the gripper."""
    node = FakeNode()
    player = ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=SIMULATED)
    JointStateIntake(
        node,  # type: ignore[arg-type]
        player,
        CONVENTION,
        diagnostics=RobotDiagnostics(),
        conditions=Conditions(node),  # type: ignore[arg-type]
        profile=qos.JOINT_STATES,
        note_sender=lambda topic, callback: callback,
        tells_currents=False,
        on_arm_states=lambda: None,
    )
    for finger in (0.2, 0.2, 0.03):
        message = StateMessage(CONVENTION).fill(aloha.START_POSE[:7], stamp=9)
        message.position[STATE_JOINTS.index("left_finger")] = finger
        node.subscribers["follower_left/joint_states"](message)
    assert node.take_lines() == [
        (
            "warning",
            "left arm: left_finger must be within 0.004..0.068 m (the reach of the gripper's linkage and 0.01 m), got "
            "0.2; check the gripper and its driver",
        ),
        ("info", "the finger of the left arm is where it can be again"),
    ]
    assert player.state_stamps == {"left": 9}


def test_fingers_stay_within_their_joint_although_a_gripper_is_asked_for_more() -> None:
    node = FakeNode()
    backend = Ros2ControlBackend(node, RobotConfig())  # type: ignore[arg-type]
    target = np.array(aloha.START_POSE)
    target[aloha.GRIPPER_INDICES] = [0.0, 1.0]
    backend.send(target, stamp=7)
    fingers = []
    for side in aloha.SIDES:
        (arm,) = node.published(topics.ARM_COMMANDS[side].name)
        (gripper,) = node.published(topics.GRIPPER_COMMANDS[side].name)
        assert list(arm.points[0].positions) == pytest.approx(aloha.START_POSE[:6].tolist())
        assert arm.points[0].time_from_start.nanosec == 20_000_000
        assert gripper.header.stamp.nanosec == 7
        fingers.append(gripper.points[0].positions[0])
    assert fingers == [0.021, 0.057]  # The convention would give 0.01844 and 0.058 m.


def test_controllers_that_were_gone_have_lost_the_goals_of_the_motors() -> None:
    node = FakeNode()
    backend = Ros2ControlBackend(node, RobotConfig())  # type: ignore[arg-type]
    publisher = node.publishers[topics.ARM_COMMANDS["left"].name]
    losses, waits = [], []
    for publisher.num_subscribers in (0, 1, 1, 0, 0, 1):  # At first they have not come yet.
        assert bool(backend.problem()) == (publisher.num_subscribers == 0)
        losses.append(goals_dropped(backend))
        waits.append(only_waits(backend))
    assert losses == [0, 0, 0, 1, 1, 1]
    assert waits == [True, False, False, False, False, False]


def test_an_arm_that_is_not_followed_is_logged_once_though_the_seconds_in_the_reason_change() -> None:
    node = FakeNode()
    driver = DriverPublisher(node, Conditions(node))  # type: ignore[arg-type]
    for problem in ("no joint states for 2.02 s", "no joint states for 2.04 s", "they must agree"):
        driver.update(run_id="run", human=False, segment=0, problem=problem)
    assert [each.message for each in node.published("takeover_state")][-1] == "they must agree"
    assert node.take_lines() == [
        ("warning", "the robot holds: no joint states for 2.02 s"),
        ("warning", "the robot holds: they must agree"),
    ]


def test_what_the_leaders_do_is_published_when_it_changes_and_what_is_waited_for_is_logged_once() -> None:
    node = FakeNode()
    driver = DriverPublisher(node, Conditions(node))  # type: ignore[arg-type]
    for leaders, message in (
        (Leaders.FREE, ""),
        (Leaders.HOLDING, "release them"),
        (Leaders.HOLDING, "release them"),
        (Leaders.FREE, ""),
    ):
        driver.update(run_id="run", human=False, segment=0, problem="", leaders=leaders, message=message)
    published = [(each.leaders, each.message) for each in node.published("takeover_state")]
    assert published == [(0, ""), (2, "release them"), (0, "")]
    assert node.take_lines() == [("info", "release them")]
    for count in range(100):  # as where the joint states of a leader come unreliably
        message = f"no joint states {count}" if count % 2 else "keep clear"
        driver.update(run_id="run", human=False, segment=0, problem="", leaders=Leaders.ALIGNING, message=message)
    assert node.take_lines() == []
