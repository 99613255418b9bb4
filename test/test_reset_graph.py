"""Tests resets in a graph of nodes: reward_node, and a robot_node that answers when the test says so."""

from __future__ import annotations

import pathlib
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import MoveArms
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.wire import qos, services
from support.service_paths import SERVICE_PATHS
from support.spinner import Spinner

pytestmark = pytest.mark.graph

Event, State = msg.EpisodeEvent, msg.EpisodeState


class Robot(Node):
    """Answers requests for motions when the test says so. reward_node sees by its publisher that it lives."""

    def __init__(self, context: Context) -> None:
        super().__init__("robot_node", context=context)
        self.asked: list[Any] = []
        self.answer: Future[str] = Future()
        group = ReentrantCallbackGroup()
        self.create_service(Trigger, "robot_node/go_to_start_pose", self._on_request, callback_group=group)
        self.create_service(MoveArms, "robot_node/move_arms", self._on_request, callback_group=group)
        self.create_publisher(msg.ExecutionResult, "execution_result", qos.RELIABLE)

    async def _on_request(self, request: Any, response: Any) -> Any:
        self.asked.append(request)
        response.message = await self.answer
        response.success = not response.message
        self.answer = Future()
        return response


class Others(Node):
    """Announces the run as trainer_node, listens, and calls as an operator."""

    def __init__(self, context: Context) -> None:
        super().__init__("others", context=context)
        self.events: list[msg.EpisodeEvent] = []
        self.states: list[msg.EpisodeState] = []
        self.statuses: list[Any] = []
        self.calls: list[msg.OperatorCall] = []
        self.version = self.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self.create_subscription(msg.EpisodeEvent, "episode_event", self.events.append, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.EpisodeState, "episode_state", self.states.append, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.OperatorCall, "operator_call", self.calls.append, qos.RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses += [status for status in message.status if status.name == "reward_node"]


class Graph(Spinner):
    """reward_node, the robot and the others, spun together."""

    def __init__(self, folder: pathlib.Path, *settings: str) -> None:
        self.context = Context()
        given = [f"run.run_dir:={folder}", "env.simulator:=none", *settings]
        rclpy.init(args=["--ros-args", *(part for one in given for part in ("-p", one))], context=self.context)
        super().__init__(RewardNode(context=self.context), context=self.context)
        self.others = self.add(Others(self.context))
        self.robot = self.add(Robot(self.context))

    def seen(self) -> str:
        newest = self.others.states[-1:]
        return f"events: {self.event_names()}; waits for: {[state.waits_for for state in newest]}"

    def event_names(self) -> list[tuple[int, int, int]]:
        return [(event.episode, event.event, event.outcome) for event in self.others.events]

    def begin(self) -> None:
        """Announces the run, when everybody listens."""
        self.until(lambda: self.others.count_subscribers("policy_version") and self.others.states)
        self.until(lambda: self.nodes[0].count_publishers("execution_result"))
        self.spin(0.3)
        self.others.version.publish(msg.PolicyVersion(run_id="run", num_required=4))

    def call(self, name: str) -> Any:
        client = self.others.create_client(Trigger, SERVICE_PATHS[name])
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def close(self) -> None:
        super().close()
        self.context.try_shutdown()


@pytest.fixture
def start(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Graph]]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    graphs: list[Graph] = []

    def make(*settings: str) -> Graph:
        graphs.append(Graph(tmp_path, *settings))
        return graphs[-1]

    yield make
    for graph in graphs:
        graph.close()


def test_a_scripted_reset_waits_for_a_robot_node_that_was_killed_and_takes_the_next_one(
    start: Callable[..., Graph],
) -> None:
    graph = start("episode.reset:=scripted")
    graph.begin()
    graph.until(lambda: graph.robot.asked)
    graph.remove(graph.robot)
    graph.until(lambda: graph.others.states[-1].waits_for == "robot_node, which is not there to move the arms")
    graph.robot = graph.add(Robot(graph.context))
    graph.until(lambda: graph.robot.asked)
    graph.robot.answer.set_result("")
    graph.until(lambda: graph.others.states[-1].phase == State.READY)
    episode = graph.others.states[-1].episode  # A robot_node that was away for long enough costs the episode.
    assert graph.call("start_episode").message == f"episode {episode} has started"
    graph.until(lambda: graph.event_names()[-2:] == [(episode, Event.READY, 0), (episode, Event.STARTED, 0)])


def test_the_example_of_a_command_moves_the_arms_and_the_episode_starts_by_itself(
    start: Callable[..., Graph], repository: pathlib.Path
) -> None:
    command = shlex.join([sys.executable, str(repository / "examples" / "reset_scene.py")])
    graph = start("episode.reset:=command", f"episode.reset_command:='{command}'", "episode.start_automatically:=true")
    graph.begin()
    graph.until(lambda: graph.robot.asked)
    (request,) = graph.robot.asked
    assert (request.name, len(request.poses)) == ("reset", 28)
    graph.robot.answer.set_result("")
    graph.until(lambda: len(graph.robot.asked) == 2)  # The robot goes back to the start pose.
    graph.robot.answer.set_result("")
    graph.until(lambda: graph.event_names() == [(0, Event.RESET, 0), (0, Event.READY, 0), (0, Event.STARTED, 0)])


def test_an_example_command_that_does_not_get_there_says_why(
    start: Callable[..., Graph], repository: pathlib.Path
) -> None:
    command = shlex.join([sys.executable, str(repository / "examples" / "reset_scene.py")])
    graph = start("episode.reset:=command", f"episode.reset_command:='{command}'")
    graph.begin()
    graph.until(lambda: graph.robot.asked)
    graph.robot.answer.set_result("an arm is blocked")
    graph.until(lambda: "(the arms did not get there: an arm is blocked; " in graph.others.states[-1].waits_for)
    assert graph.call("reset_done").success
    graph.until(lambda: graph.others.states[-1].phase == State.READY)
    told = graph.others.calls[-1]
    assert (told.node, told.name, told.success) == ("reward_node", "reset_done", True)


def test_a_robot_run_says_everywhere_that_it_waits_for_its_start(
    start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    """The log says it once. /diagnostics and `episode_state` say it once a second."""
    graph = start()
    graph.until(lambda: graph.others.states)
    assert graph.others.states[-1].waits_for.startswith("trainer_node to announce the run")
    graph.begin()
    command = services.START_EPISODE.command
    graph.until(lambda: graph.others.states[-1].command == command)
    graph.spin(2.5)
    said = "waits for an operator to bring robot and scene to the start, and to start the episode"
    assert capfd.readouterr().err.count(f"{said}: {command}") == 1
    status = graph.others.statuses[-1]
    assert (status.level, said in status.message, command in status.message) == (b"\x01", True, True)
    assert len(graph.others.states) >= 3
