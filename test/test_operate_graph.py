"""Tests an operator's screen against services and topics of real nodes, in a namespace, and the command itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, EpisodeState
from chunk_ppo_msgs.srv import EndEpisode
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config import OperateConfig
from chunk_ppo_ros.nodes.operate import link
from chunk_ppo_ros.nodes.operate.actions.table import action_named
from chunk_ppo_ros.nodes.operate.command import main
from chunk_ppo_ros.nodes.operate.headless import Printer
from chunk_ppo_ros.nodes.operate.picture import Answer, Phase, Picture
from chunk_ppo_ros.nodes.operate.session import Session, open_session
from chunk_ppo_ros.nodes.wire import qos, topics
from support.operator_pictures import PLACE, READY, in_episode, running
from support.patience import PATIENCE
from support.spinner import Spinner

pytestmark = pytest.mark.graph

NAMESPACE = "/lab"
PEDALS = OperateConfig(joy_buttons=("0=success", "3=emergency_stop"))


class FakeRun(Spinner):
    """Nodes with the names and services of a run, which keep what they are asked for."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context)
        self.asked: list[tuple[str, Any]] = []
        self.reward, self.robot, self.policy = (
            Node(name, namespace=NAMESPACE, context=self.context, use_global_arguments=False)
            for name in ("reward_node", "robot_node", "policy_node")
        )
        self._serve(self.reward, "start_episode", Trigger, success=True, message="episode 3 has started")
        self._serve(self.reward, "end_episode", EndEpisode, success=False, message="no episode runs")
        self._serve(self.robot, "emergency_stop", SetBool, success=True, message="it holds")
        self.robot.create_subscription(Bool, "emergency_stop", self._on_stop, qos.RELIABLE)
        self.states = topics.EPISODE_STATE.create_publisher(self.reward)
        self.stop_states = topics.EMERGENCY_STOP_STATE.create_publisher(self.robot)
        self.diagnostics = topics.DIAGNOSTICS.create_publisher(self.policy)
        self.joy = self.policy.create_publisher(Joy, "joy", qos.RELIABLE)
        super().__init__(self.reward, self.robot, self.policy, context=self.context)

    def _serve(self, node: Node, name: str, kind: type, **answer: Any) -> None:
        def on_call(request: Any, response: Any) -> Any:
            self.asked.append((name, request))
            response.success, response.message = answer["success"], answer["message"]
            return response

        node.create_service(kind, f"~/{name}", on_call)

    def _on_stop(self, message: Bool) -> None:
        self.asked.append(("topic", message))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
def run() -> Iterator[FakeRun]:
    run = FakeRun()
    yield run
    run.close()
    run.context.try_shutdown()


@pytest.fixture
def session() -> Iterator[Session]:
    with open_session(PEDALS, namespace=NAMESPACE) as session:
        yield session


def press(session: Session, name: str) -> None:
    assert session.desk.press(action_named(name).key, now=time.monotonic())


def test_keys_and_pedals_reach_the_services_and_answers_come_back(run: FakeRun, session: Session) -> None:
    run.until(lambda: session.board.picture.nodes == {"reward_node", "robot_node", "policy_node"})
    run.states.publish(EpisodeState(episode=3, phase=EpisodeState.READY, waits_for="you"))
    run.until(lambda: session.board.picture.episode)
    assert session.board.picture.phase is Phase.READY

    def answered() -> Answer | None:
        answer = session.board.picture.answer
        return answer if answer is not None and answer.success is not None else None

    # Discovery of a service may take longer than that of its node. Until then the screen says that nobody answers.
    def start() -> bool:
        session.desk.press("other", now=0.0)
        press(session, "start")
        run.until(answered)
        answer = answered()
        return answer is not None and bool(answer.success)

    run.until(start)
    assert session.board.picture.answer is not None
    assert session.board.picture.answer.message == "episode 3 has started"
    assert run.names == ["start_episode"]

    press(session, "success")
    run.until(lambda: "end_episode" in run.names)
    assert run.asked[-1][1].outcome == EpisodeEvent.SUCCESS
    run.until(lambda: (answer := answered()) is not None and answer.message == "no episode runs")
    assert session.board.picture.answer.success is False


def test_the_emergency_stop_goes_by_topic_and_service(run: FakeRun, session: Session) -> None:
    run.until(lambda: run.robot.count_publishers("emergency_stop") and session.board.picture.nodes)
    run.spin(0.5)
    session.desk.press("space", now=time.monotonic())
    run.until(lambda: {"topic", "emergency_stop"} <= set(run.names))
    assert all(request.data is True for _, request in run.asked)
    run.stop_states.publish(Bool(data=True))
    run.until(lambda: session.board.picture.stopped)


def test_a_pedal_is_heard_and_a_held_one_counts_once(run: FakeRun, session: Session) -> None:
    run.until(lambda: run.joy.get_subscription_count() and session.board.picture.nodes)
    run.spin(0.5)

    def send(*buttons: int) -> None:
        run.joy.publish(Joy(buttons=buttons))
        run.spin(0.1)
        session.work()

    send(0, 0, 0, 0)
    for _ in range(3):
        send(1, 0, 0, 0)
    send(0, 0, 0, 1)
    run.until(lambda: {"topic", "emergency_stop", "end_episode"} <= set(run.names))
    assert run.names.count("end_episode") == 1


def test_statuses_are_heard_and_a_node_that_leaves_is_named(run: FakeRun, session: Session) -> None:
    status = DiagnosticStatus(name="policy_node", level=DiagnosticStatus.WARN, message="cam_high is silent")
    run.until(lambda: run.diagnostics.get_subscription_count())
    run.diagnostics.publish(DiagnosticArray(status=[status]))
    run.until(lambda: session.board.picture.statuses)
    assert session.board.picture.statuses["policy_node"].message == "cam_high is silent"
    run.until(lambda: "robot_node" in (session.board.picture.nodes or ()))
    run.remove(run.robot)
    run.until(lambda: session.board.picture.gone == ("robot_node",))


def test_without_a_graph_nobody_answers_and_nothing_breaks(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    deadline = time.monotonic() + PATIENCE
    while session.board.picture.nodes is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert session.board.picture.nodes == frozenset()
    session.desk.press("space", now=time.monotonic())
    answer = session.board.picture.answer
    assert answer is not None
    assert (answer.success, answer.message) == (
        False,
        "robot_node is not there to answer; it was sent on the topic too",
    )
    assert session.board.picture.problems == (
        "no pedal: nobody publishes sensor_msgs/Joy on joy; start ros2 run joy joy_node",
    )
    session.work()


def test_an_answer_that_does_not_come_is_given_up(
    run: FakeRun, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing spins the nodes of the run here, so that their services are there and do not answer."""
    monkeypatch.setattr(link, "ANSWER_TIMEOUT", 0.2)
    run.spin(1.0)
    press(session, "start")
    deadline = time.monotonic() + PATIENCE
    while (answer := session.board.picture.answer) is None or answer.success is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer.success, answer.message) == (False, "no answer came; look at the log of the node")


def test_pedals_without_a_screen_print_what_is_new() -> None:
    lines: list[str] = []
    printer = Printer(lines.append)
    pictures = [
        Picture(PLACE),
        in_episode(**READY),
        in_episode(**READY),
        running(answer=Answer("14:02:11", "start", None)),
        running(answer=Answer("14:02:11", "start", True, "episode 12 has started"), problems=("no pedal: x",)),
    ]
    for picture in pictures:
        printer.look(picture, now=time.monotonic())
    assert lines == [
        "LOOKING FOR THE GRAPH. ROS_DOMAIN_ID=37, this machine only, namespace /",
        "EPISODE 12 IS READY · WAITS FOR YOU. Waits for the start of the episode; the robot moves from then on",
        "EPISODE 12 RUNS",
        "14:02:11 start: YES, episode 12 has started",
        "PEDAL no pedal: x",
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--headless"], "--headless needs pedals"),
        (["--joy_buttons", "0=dance"], "operate.joy_buttons must be entries BUTTON=ACTION"),
        (["--domain_id", "233"], "--domain_id"),
    ],
)
def test_wrong_flags_are_refused(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


PROGRAM = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('chunk_ppo_ros', run_name='__main__', alter_sys=True)"
)
"""Runs the command as from a terminal. A process that a shell runs in the background ignores Ctrl-C."""


def command(repository: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "operate", *flags],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_terminal_the_screen_is_refused(repository: Path) -> None:
    process = command(repository)
    _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 2
    assert "operate must run in a terminal" in errors


def test_headless_serves_until_ctrl_c(repository: Path) -> None:
    process = command(repository, "--headless", "--joy_buttons", "0=success 1=failure")
    assert process.stdout is not None
    domain = os.environ["ROS_DOMAIN_ID"]
    found = [process.stdout.readline() for _ in range(2)]
    assert any(f"ROS_DOMAIN_ID={domain}, this machine only" in line for line in found)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60.0)
    assert (process.returncode, errors) == (130, "chunk_ppo operate: stopped\n")
