"""Tests that command lines which robot_node tells people can be copied, also where the node has a namespace."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from chunk_ppo_msgs.msg import EpisodeEvent
from std_srvs.srv import SetBool

from chunk_ppo_ros.config.flags import PROGRAM, service_calls
from chunk_ppo_ros.nodes.command_line.flags import call_parser
from chunk_ppo_ros.nodes.operate.actions.commands import with_keys
from chunk_ppo_ros.nodes.operate.actions.keys import shown_key
from chunk_ppo_ros.nodes.operate.actions.table import action_named
from chunk_ppo_ros.nodes.reward.operator_commands import command_in
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import torque_on
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.handover import Handover, LeaderReport
from chunk_ppo_ros.robot.robot_calls import RobotCalls
from support.robot_rig import Graph, running_graph

COMMAND = re.compile(r"(?:ros2 (?:service call|lifecycle set)|chunk_ppo call) (/[\w/]+)")


@pytest.fixture(params=[True, False], ids=["with ros2", "from wheels"])
def has_ros2(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(service_calls, "has_ros2", lambda: request.param)
    return bool(request.param)


def test_a_command_line_is_one_that_this_machine_has(has_ros2: bool) -> None:
    pause = services.PAUSE.command_in("/cell_1", "{data: false}")
    name = "/cell_1/reward_node/pause"
    ros2 = f"ros2 service call {name} std_srvs/srv/SetBool '{{data: false}}'"
    assert pause == (ros2 if has_ros2 else f"chunk_ppo call {name} '{{data: false}}'")
    activate = service_calls.lifecycle_change("/robot_node", "activate")
    assert activate == (
        "ros2 lifecycle set /robot_node activate"
        if has_ros2
        else "chunk_ppo call /robot_node/change_state '{transition: {label: activate}}'"
    )


def test_what_reads_command_lines_finds_those_of_both_programs(has_ros2: bool) -> None:
    """The screen of the operator writes keys instead of them, and reward_node finds them in the texts of others."""
    confirm, on = services.CONFIRM_MOTION.command_in("/a"), services.PAUSE.command_in("/a", "{data: false}")
    assert with_keys(f"look, then call `{on}`.") == "look, then call `press p`."
    assert (
        with_keys(f"call {confirm}; then wait") == f"press {shown_key(action_named('confirm_motion').key)}; then wait"
    )
    assert command_in(f"look, then call {confirm}. Go") == confirm
    assert command_in(f"it holds: {on}, then go on") == on


def test_the_path_says_whether_ros2_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    has_ros2 = service_calls.has_ros2.__wrapped__
    assert not has_ros2()
    (tmp_path / "ros2").touch(mode=0o755)
    assert has_ros2()


def test_each_command_line_without_ros2_is_one_that_call_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_calls, "has_ros2", lambda: False)
    for service in services.OPERATOR_SERVICES:
        program, command, *arguments = shlex.split(service.command_in("/a", "{}"))
        assert (program, command) == (PROGRAM, "call")
        given = call_parser().parse_args(arguments)
        assert (given.name, given.rest) == (f"/a/{service.path}", ["{}"])


@pytest.mark.parametrize(("namespace", "prefix"), [("", ""), ("/", ""), ("/cell_1", "/cell_1")])
def test_texts_of_the_player_name_the_services_of_the_node(namespace: str, prefix: str) -> None:
    calls = RobotCalls(namespace)
    assert calls.confirm_motion == services.CONFIRM_MOTION.command_in(namespace)
    assert calls.leaders_gripped == services.LEADERS_GRIPPED.command_in(namespace)
    assert calls.release_leaders == services.RELEASE_LEADERS.command_in(namespace)
    assert f"{prefix}/robot_node/confirm_motion" in calls.confirm_motion.split()


def test_texts_of_the_leaders_name_the_services_of_the_node() -> None:
    handover = Handover(aligns=True, calls=RobotCalls("/cell_1"))
    handover.take_over()
    handover.step([LeaderReport(is_done=True)], halted="")
    assert "/cell_1/robot_node/leaders_gripped" in handover.message
    handover.step([LeaderReport(problem="its driver is gone")], halted="")
    handover.give_back()
    assert "/cell_1/robot_node/release_leaders" in handover.message and "{" not in handover.message


def test_the_torque_of_a_driver_is_switched_on_by_its_full_name() -> None:
    assert " /cell_1/follower_left/torque_enable " in torque_on("/cell_1/follower_left")


def told(graph: Graph) -> set[str]:
    """Returns the names of nodes and services in all command lines that robot_node has told."""
    statuses = [status for message in graph.rig.diagnostics for status in message.status]
    texts = [status.message for status in statuses] + [state.message for state in graph.rig.takeovers]
    return {match[1].removesuffix("/change_state") for text in texts for match in COMMAND.finditer(text)}


@pytest.mark.graph
def test_every_command_line_that_robot_node_tells_names_what_is_there() -> None:
    settings = {"robot__confirm_start": "true", "episode__reset": "teleoperated", "run__autostart": "false"}
    with running_graph(namespace="/cell_1", **settings) as graph:
        graph.until(lambda: told(graph))
        assert told(graph) == {"/cell_1/robot_node"}
        assert graph.robot.trigger_configure() and graph.robot.trigger_activate()
        graph.rig.tell(EpisodeEvent.RESET)
        graph.until(lambda: len(told(graph)) >= 3)
        stop = graph.rig.create_client(SetBool, services.EMERGENCY_STOP.path)
        graph.until(stop.service_is_ready)
        answer = stop.call_async(SetBool.Request(data=True))
        graph.until(answer.done)
        assert services.EMERGENCY_STOP.command_in("/cell_1", "{data: false}") in answer.result().message
        asked = {f"/cell_1/{service.path}" for service in services.OPERATOR_SERVICES}
        assert told(graph) <= {*asked, "/cell_1/robot_node"}
        assert "/cell_1/robot_node/confirm_motion" in told(graph)
