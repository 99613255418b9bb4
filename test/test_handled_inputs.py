"""Tests that a node tells what it has handled, in the order in which it did, and that reward_node forgets no input."""

from __future__ import annotations

import collections
import inspect
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float32

from chunk_ppo_ros.nodes.common.inputs.handled_inputs import HandledInputs
from chunk_ppo_ros.nodes.recorder.topic_recording import TopicRecording
from chunk_ppo_ros.nodes.reward.reward_watch import Restart, Role
from chunk_ppo_ros.nodes.wire import services, topics
from support.fake_node import FakeNode, SteadyClock
from support.reward_neighbors import RUN, Graph, make_graph


class Rig:
    """The inputs of a node without ROS, with a clock that tests set."""

    def __init__(self) -> None:
        self.node, self.clock, self.run_id = FakeNode(), SteadyClock(), "run"
        node: Any = self.node
        self.inputs = HandledInputs(node, run_id=lambda: self.run_id, steady_time=self.clock.monotonic)

    def told(self) -> list[msg.HandledInput]:
        return self.node.published("handled_input")


def test_each_input_is_told_with_a_running_number_and_its_content() -> None:
    rig = Rig()
    feedback = rig.inputs.handles(topics.HUMAN_FEEDBACK, lambda message: None)
    end = rig.inputs.handles(services.END_EPISODE, lambda request: request.outcome)
    chunk = rig.inputs.handles(topics.ACTION_CHUNK, lambda message: None)
    tick = rig.inputs.handles("tick", lambda: None)
    feedback(Float32(data=0.5))
    rig.clock.now = 101.0
    assert end(EndEpisode.Request(outcome=2)) == 2
    chunk(msg.ActionChunk(run_id="other run", sequence_number=7))
    tick()
    rig.inputs.tell("transition", 9)
    told = rig.told()
    assert [(one.index, one.name, one.number, one.run_id, one.steady_time) for one in told] == [
        (0, "human_feedback", 0, "run", 100.0),
        (1, "end_episode", 0, "run", 101.0),
        (2, "action_chunk", 7, "other run", 101.0),
        (3, "tick", 0, "run", 101.0),
        (4, "transition", 9, "run", 101.0),
    ]
    assert deserialize_message(bytes(told[0].content), Float32).data == 0.5
    assert deserialize_message(bytes(told[1].content), EndEpisode.Request).outcome == 2
    assert not told[2].content and not told[3].content  # a chunk has images, and is recorded once
    assert {(one.node, one.began.sec > 0) for one in told} == {("fake_node", True)}


def test_what_is_handled_within_another_input_comes_before_it_and_at_its_time() -> None:
    rig = Rig()
    seen: list[float] = []

    def on_tick() -> None:
        rig.clock.now += 5.0
        start()
        rig.inputs.note_restarts(["robot_node execution_result anew"])
        seen.append(rig.inputs.now)

    start = rig.inputs.handles("start", lambda: rig.inputs.note_restarts(["sim_node task_reward before"]))
    tick = rig.inputs.handles("tick", on_tick)
    tick()
    assert [(one.name, one.steady_time, list(one.restarts)) for one in rig.told()] == [
        ("start", 100.0, ["sim_node task_reward before"]),
        ("tick", 100.0, ["robot_node execution_result anew"]),
    ]
    assert seen == [100.0] and rig.inputs.now == 105.0
    tick()
    assert [list(one.restarts) for one in rig.told()] == [
        ["sim_node task_reward before"],
        ["robot_node execution_result anew"],
    ]


def test_an_input_is_told_although_its_function_raises_and_keeps_its_signature() -> None:
    rig = Rig()

    def refuse(message: Float32) -> None:
        raise ValueError("no")

    handle = rig.inputs.handles(topics.HUMAN_FEEDBACK, refuse)
    assert inspect.signature(handle) == inspect.signature(refuse)
    with pytest.raises(ValueError, match="no"):
        handle(Float32())
    assert [one.name for one in rig.told()] == ["human_feedback"]
    with pytest.raises(ValueError, match="got a second one for human_feedback; give it a name"):
        rig.inputs.handles(topics.HUMAN_FEEDBACK, refuse)


@pytest.mark.parametrize("is_before", [False, True])
def test_a_restart_is_one_text(is_before: bool) -> None:
    restart = Restart("robot_node", Role.ROBOT, is_before=is_before)
    assert Restart.of(restart.text) == restart


# The tests below look at a whole reward_node.

DECIDE_NOTHING = {
    "execution_result": "the times of the run",
    "scripted_motion": "the times of the run",
    "takeover_state": "the times of the run and what a person waits for",
    "transition_ack": "whether the trainer makes an update, for what is waited for",
}
"""The subscriptions of `RunFacts`, by which nothing about a chunk is decided, and what they are for."""
OF_EVERY_NODE = ("get_parameter", "set_parameter", "list_parameters", "describe_parameters", "get_type_description")
A_MINUTE = 1500
"""The number of inputs of a minute, at ten ticks a second and at three chunks with five inputs."""
STARTS = ("start_episode", "look", "start")
"""A call that starts an episode is told by what it does: it looks for restarts, and then starts the episode."""


@pytest.fixture
def graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch)


@pytest.mark.graph
def test_reward_node_forgets_no_input(graph: Graph) -> None:
    """A new subscription, service or timer must be handled by `inputs`, or a replay does not have it."""
    node = graph.node
    inputs = set(node.inputs.table)
    heard = collections.Counter(one.topic_name.removeprefix("/") for one in node.subscriptions)
    heard.subtract(list(DECIDE_NOTHING))
    assert {name for name, number in heard.items() if number > 0} == {name for name in inputs if name in heard}
    assert max(heard.values()) == 1
    own = {
        one.srv_name.rpartition("/")[2]
        for one in node.services
        if not one.srv_name.rpartition("/")[2].startswith(OF_EVERY_NODE)
    }
    assert own - inputs == {STARTS[0]}
    assert inputs - set(heard) - own == {*STARTS[1:], "tick"}
    assert len(list(node.timers)) == 1  # the tick


@pytest.mark.graph
def test_reward_node_tells_what_it_has_handled_also_to_who_listens_later(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    told: list[msg.HandledInput] = []
    topics.HANDLED_INPUT.create_subscription(graph.others, told.append)
    graph.until(lambda: any(one.name == "task_reward" for one in told))
    assert [one.index for one in told] == list(range(len(told)))
    names = [
        one.name for one in told if one.name not in ("tick", "transition_ack", "emergency_stop_state", "takeover_state")
    ]
    assert names[:6] == ["policy_version", "look", "start", *names[3:6]]
    assert set(names[3:6]) == {"action_chunk", "execution_result", "task_reward"}
    assert {one.run_id for one in told if one.name != "tick"} <= {"", RUN}
    assert not any(one.goes_on for one in told)
    graph.restart()
    graph.announce()
    graph.until(lambda: any(one.goes_on for one in told))
    assert len({(one.began.sec, one.began.nanosec) for one in told}) == 2


@pytest.mark.graph
def test_a_recorder_that_was_away_for_a_minute_gets_all_that_reward_node_has_handled(graph: Graph) -> None:
    for _ in range(A_MINUTE):
        graph.node.inputs.tell("tick", 0)
    recorded: list[int] = []

    def record(name: str, kind: str, received: int, data: bytes) -> None:
        recorded.append(deserialize_message(data, msg.HandledInput).index)

    TopicRecording(graph.others, topics.HANDLED_INPUT, record)
    graph.until(lambda: recorded and recorded[-1] >= A_MINUTE)
    assert recorded == list(range(len(recorded)))
