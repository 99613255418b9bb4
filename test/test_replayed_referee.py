"""Replays what a reward_node has handled from random neighbors, and compares what it sent, without any other process.

The neighbors send the reports on a chunk, feedback, marks, takeovers and stops in a random order and within a
millisecond. The executor of the node handles them in another order than that in which they were sent.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.serialization import serialize_message
from std_msgs.msg import Bool, Float32
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.replay.handled import ReplayError
from chunk_ppo_ros.nodes.reward.reward_watch import Restart, RewardWatch
from chunk_ppo_ros.nodes.wire import topics
from support.replayed_referee import Recording, contents, endings, replayed
from support.reward_neighbors import HORIZON, Ack, Event, Graph, Result, make_graph

pytestmark = pytest.mark.graph

NUM_CHUNKS = 20


@pytest.fixture
def graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch)


class Play:
    """Plays chunks with all that may happen beside them, drawn by a seed."""

    def __init__(self, graph: Graph, seed: int) -> None:
        self.graph, self.chance = graph, random.Random(seed)
        self.feedback = topics.HUMAN_FEEDBACK.create_publisher(graph.others)
        self.episode, self.chunk = -1, 0
        graph.until(lambda: self.feedback.get_subscription_count())

    def run(self) -> None:
        graph = self.graph
        graph.announce()
        for number in range(NUM_CHUNKS):
            self._start()
            graph.others.ack = self.chance.choice((Ack.ACCEPTED, Ack.ACCEPTED, None))
            self._play(number)
            self.chunk += 1
        graph.others.ack = Ack.ACCEPTED  # Transitions without an answer are sent again.
        graph.until(lambda: not len(graph.node.outbox.delivery))

    def _start(self) -> None:
        """Starts the episode, unless a call of before has started it. A call of before may also end it first."""
        self.graph.until(self._is_started)
        if (episode := self.graph.others.events[-1].episode) != self.episode:
            self.episode, self.chunk = episode, 0

    def _is_started(self) -> bool:
        events = self.graph.others.events
        if not events or events[-1].event == Event.ENDED:
            return False
        if any((one.episode, one.event) == (events[-1].episode, Event.STARTED) for one in events):
            return True
        self.graph.call("start_episode", Trigger.Request())
        return False

    def _play(self, number: int) -> None:
        graph, chance = self.graph, self.chance
        episode = graph.others.events[-1].episode
        ends = {"terminated": chance.random() < 0.1}
        status = chance.choice((Result.EXECUTED,) * 8 + (Result.FAULT, Result.REFUSED))
        num_steps = HORIZON if status == Result.EXECUTED else chance.randrange(HORIZON)
        acts: list[Callable[[], Any]] = [
            lambda: graph.sample(number, episode=episode, chunk=self.chunk, value=chance.random()),
            lambda: graph.execute(number, status=status, num_steps=num_steps),
            lambda: graph.judge(number, reward=chance.random(), **ends),
            *(self._aside() for _ in range(chance.randrange(4))),
        ]
        chance.shuffle(acts)
        for act in acts:
            act()
            if chance.random() < 0.3:
                graph.spin(chance.choice((0.0, 0.001, 0.01)))
        graph.until(lambda: any(outcome.sequence_number == number for outcome in graph.others.outcomes))
        graph.bootstrap(number, value=chance.random())
        graph.spin(0.05)

    def _aside(self) -> Callable[[], Any]:
        others, chance = self.graph.others, self.chance
        value = chance.random()
        outcome = chance.choice((Event.SUCCESS, Event.FAILURE, Event.DISCARDED))
        return chance.choice(
            (
                *[lambda: self.feedback.publish(Float32(data=value))] * 4,
                lambda: others.callers["end_episode"].call_async(EndEpisode.Request(outcome=outcome)),
                lambda: others.callers["start_episode"].call_async(Trigger.Request()),  # It is refused while one runs.
                lambda: others.callers["pause"].call_async(SetBool.Request(data=value < 0.5)),
                lambda: others.takeover.publish(msg.TakeoverState(human=value < 0.5)),
                lambda: others.stop.publish(Bool(data=value < 0.5)),
            )
        )


@pytest.mark.parametrize("seed", range(8))
def test_the_same_inputs_in_the_same_order_give_the_same_transitions(
    graph: Graph, tmp_path: pathlib.Path, seed: int
) -> None:
    recording = Recording(graph)
    Play(graph, seed).run()
    graph.until(lambda: len(recording.told) == graph.node.inputs.num_told)
    live, ended = contents(graph.others.transitions), endings(graph.others.events)
    graph.remove(graph.node)
    node = replayed(tmp_path / "again", recording)
    assert len(live) >= 3 and len(ended) >= 2
    assert contents(node.transitions.values()) == live
    assert endings(node.ends.values()) == ended


def test_a_node_that_was_started_anew_is_found_again_where_it_was_found(
    graph: Graph, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(graph)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1)
    graph.spin(0.1)
    found = [Restart.of("robot_node execution_result anew")]
    monkeypatch.setattr(RewardWatch, "restarted", lambda watch, now: [found.pop()] if found else [])
    graph.until(lambda: any(event.outcome == Event.INTERRUPTED for event in graph.others.events))
    graph.until(lambda: any(one.restarts for one in recording.told))
    graph.until(lambda: graph.others.transitions)
    live, ended = contents(graph.others.transitions), endings(graph.others.events)
    graph.until(lambda: len(recording.told) == graph.node.inputs.num_told)
    graph.remove(graph.node)
    node = replayed(tmp_path / "again", recording)
    assert contents(node.transitions.values()) == live
    assert endings(node.ends.values()) == ended
    restart = next(number for number, one in enumerate(recording.told) if one.restarts)
    recording.told[restart].name = "takeover_state"
    recording.told[restart].content = serialize_message(msg.TakeoverState())
    with pytest.raises(ReplayError, match="must look for restarts of nodes when it handles takeover_state"):
        replayed(tmp_path / "other", recording)
