"""Tests that command lines which robot_node tells people can be copied, also where the node has a namespace."""

from __future__ import annotations

import re

import pytest
from chunk_ppo_msgs.msg import EpisodeEvent
from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import torque_on
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.handover import Handover, LeaderReport
from chunk_ppo_ros.robot.robot_calls import RobotCalls
from support.robot_rig import Graph, running_graph

COMMAND = re.compile(r"ros2 (service call|lifecycle set) (\S+)")


@pytest.mark.parametrize(("namespace", "prefix"), [("", ""), ("/", ""), ("/cell_1", "/cell_1")])
def test_texts_of_the_player_name_the_services_of_the_node(namespace: str, prefix: str) -> None:
    calls = RobotCalls(namespace)
    assert calls.confirm_motion == services.CONFIRM_MOTION.command_in(namespace)
    assert calls.leaders_gripped == services.LEADERS_GRIPPED.command_in(namespace)
    assert calls.release_leaders == services.RELEASE_LEADERS.command_in(namespace)
    assert calls.confirm_motion == f"ros2 service call {prefix}/robot_node/confirm_motion std_srvs/srv/Trigger"


def test_texts_of_the_leaders_name_the_services_of_the_node() -> None:
    handover = Handover(aligns=True, calls=RobotCalls("/cell_1"))
    handover.take_over()
    handover.step([LeaderReport(is_done=True)], halted="")
    assert "/cell_1/robot_node/leaders_gripped" in handover.message
    handover.step([LeaderReport(problem="its driver is gone")], halted="")
    handover.give_back()
    assert "/cell_1/robot_node/release_leaders" in handover.message and "{" not in handover.message


def test_the_torque_of_a_driver_is_switched_on_by_its_full_name() -> None:
    assert "ros2 service call /cell_1/follower_left/torque_enable " in torque_on("/cell_1/follower_left")


def told(graph: Graph) -> dict[str, set[str]]:
    """Returns the names in all command lines that robot_node has told, by what each line does."""
    statuses = [status for message in graph.rig.diagnostics for status in message.status]
    texts = [status.message for status in statuses] + [state.message for state in graph.rig.takeovers]
    found: dict[str, set[str]] = {"service call": set(), "lifecycle set": set()}
    for does, name in (match.groups() for text in texts for match in COMMAND.finditer(text)):
        found[does].add(name)
    return found


@pytest.mark.graph
def test_every_command_line_that_robot_node_tells_names_what_is_there() -> None:
    settings = {"robot__confirm_start": "true", "episode__reset": "teleoperated", "run__autostart": "false"}
    with running_graph(namespace="/cell_1", **settings) as graph:
        graph.until(lambda: told(graph)["lifecycle set"])
        assert told(graph)["lifecycle set"] == {"/cell_1/robot_node"}
        assert graph.robot.trigger_configure() and graph.robot.trigger_activate()
        graph.rig.tell(EpisodeEvent.RESET)
        graph.until(lambda: len(told(graph)["service call"]) >= 2)
        stop = graph.rig.create_client(SetBool, services.EMERGENCY_STOP.path)
        graph.until(stop.service_is_ready)
        answer = stop.call_async(SetBool.Request(data=True))
        graph.until(answer.done)
        assert services.EMERGENCY_STOP.command_in("/cell_1", "{data: false}") in answer.result().message
        asked = {f"/cell_1/{service.path}" for service in services.OPERATOR_SERVICES}
        assert told(graph)["service call"] <= asked
        assert "/cell_1/robot_node/confirm_motion" in told(graph)["service call"]
