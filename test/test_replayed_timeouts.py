"""Replays what a reward_node has decided because a time was over, at the time that it had itself.

The tests put the steady time of the recorded reward_node forward, so that none waits. The one that replays has no such
clock: it must take the time from what was recorded.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest
from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.reward.episode_director import MAX_FAULTS
from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.reward.state.simulated_repair import REPAIR_TIME
from chunk_ppo_ros.nodes.reward.unfinished_chunks import CLOSING_PATIENCE, PATIENCE
from support.replayed_referee import Recording, contents, endings, replayed
from support.reward_neighbors import Event, Result, make_graph

pytestmark = pytest.mark.graph


class Live:
    """A reward_node with its neighbors, whose steady time a test puts forward, and what it has told."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        monkeypatch.setattr(RewardNode, "steady_time", lambda node: time.monotonic() + self._ahead)
        self._graphs = make_graph(folder, monkeypatch)
        self.graph = next(self._graphs)
        self.recording = Recording(self.graph)

    def put_forward(self, seconds: float) -> None:
        """Puts the steady time forward, and returns when reward_node has looked at it."""
        self._ahead += seconds
        self.hear("tick")

    def hear(self, name: str) -> None:
        """Returns when reward_node has handled another input of this name. What it told before may come late."""
        first = self.graph.node.inputs.num_told
        self.graph.until(lambda: any(one.name == name and one.index >= first for one in self.recording.told))

    def end(self) -> None:
        """Returns when all is told that reward_node has handled, and ends it."""
        graph = self.graph
        graph.until(lambda: not len(graph.node.outbox.delivery))
        graph.until(lambda: len(self.recording.told) == graph.node.inputs.num_told)
        graph.remove(graph.node)

    def close(self) -> None:
        """Ends the neighbors."""
        next(self._graphs, None)


@pytest.fixture
def live(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    live = Live(tmp_path, monkeypatch)
    yield live
    live.close()


def check_replay(live: Live, folder: pathlib.Path, *, transitions: list[int]) -> None:
    """Ends the run, and checks that its replay gives the same transitions and the same ends of episodes."""
    live.end()
    others = live.graph.others
    node = replayed(folder, live.recording)
    assert sorted(contents(others.transitions)) == transitions
    assert contents(node.transitions.values()) == contents(others.transitions)
    assert endings(node.ends.values()) == endings(others.events)


@pytest.mark.parametrize(
    ("waited", "transitions"),
    [
        pytest.param(PATIENCE - 5.0, [0, 1], id="the value comes in time"),
        pytest.param(PATIENCE + 5.0, [1], id="the value comes too late"),
    ],
)
def test_a_chunk_without_an_end_is_given_up_where_it_was_given_up(
    live: Live, tmp_path: pathlib.Path, waited: float, transitions: list[int]
) -> None:
    graph = live.graph
    graph.announce()
    graph.start()
    graph.play(0)  # Nobody has observed yet what follows.
    graph.restart_robot()
    graph.until(lambda: (0, Event.ENDED, Event.INTERRUPTED) in graph.event_names())
    live.put_forward(waited)
    graph.bootstrap(0, value=4.0)
    live.hear("bootstrap")
    graph.start()
    graph.play(1, episode=1, terminated=True)
    graph.until(lambda: any(one.chunk.sequence_number == 1 for one in graph.others.transitions))
    check_replay(live, tmp_path / "again", transitions=transitions)


def test_an_episode_that_waited_for_its_last_value_in_vain_ends_where_it_ended(
    live: Live, tmp_path: pathlib.Path
) -> None:
    graph = live.graph
    graph.announce()
    graph.start()
    for chunk in range(3):
        graph.play(chunk, chunk=chunk)
    graph.restart_robot()
    graph.until(lambda: any(one.restarts for one in live.recording.told))
    live.put_forward(CLOSING_PATIENCE + 5.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])
    graph.start()
    graph.play(3, episode=1, terminated=True)
    graph.until(lambda: any(one.chunk.sequence_number == 3 for one in graph.others.transitions))
    check_replay(live, tmp_path / "again", transitions=[0, 1, 3])


def test_a_simulated_robot_is_tried_again_where_it_was_tried_again(
    live: Live, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = live.graph
    graph.announce()
    for number in range(MAX_FAULTS):
        graph.start()
        graph.sample(number, episode=number)
        graph.execute(number, status=Result.FAULT, num_steps=0)
        graph.judge(number)
        graph.until(lambda number=number: (number, Event.ENDED, Event.FAILURE) in graph.event_names())
    graph.until(lambda: graph.others.events[-1].event == Event.RESET)
    assert graph.call("start_episode", Trigger.Request()).success
    graph.until(lambda: graph.others.events[-1].event == Event.PAUSED)
    live.hear("tick")
    live.put_forward(REPAIR_TIME + 5.0)
    graph.until(lambda: graph.others.events[-1].event == Event.RESUMED)
    graph.play(MAX_FAULTS, episode=MAX_FAULTS, terminated=True)
    graph.until(lambda: graph.others.transitions)
    capfd.readouterr()
    check_replay(live, tmp_path / "again", transitions=[MAX_FAULTS])
    assert "the simulated robot is tried again" in capfd.readouterr().err
