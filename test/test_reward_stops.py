"""Tests what reward_node does with marks, stops and deaths that come when a chunk or a value is still under way."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode

from chunk_ppo_ros.nodes.common.peers.presence import PresenceWatch
from chunk_ppo_ros.nodes.reward import unfinished_chunks
from chunk_ppo_ros.nodes.reward.durable import restoration
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.conversions import transition_from_message
from support.reward_neighbors import Event, Graph, Result, make_graph

pytestmark = pytest.mark.graph

TIME_LIMIT_CHUNK = 2
"""The number of the last chunk of an episode."""


@pytest.fixture
def graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch)


@pytest.fixture
def states(graph: Graph) -> list[msg.EpisodeState]:
    """Returns the states that are published."""
    heard: list[msg.EpisodeState] = []
    graph.others.create_subscription(msg.EpisodeState, "episode_state", heard.append, qos.LATCHED_SUBSCRIPTION)
    return heard


def values(graph: Graph) -> dict[int, float]:
    """Returns the next values of the transitions that were sent, by sequence number."""
    sent = [transition_from_message(each) for each in graph.others.transitions]
    return {one.id.sequence_number: one.next_value for one in sent}


def mark(graph: Graph) -> str:
    """Marks the running episode as solved, and returns the answer."""
    answer = graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS))
    assert answer.success
    return str(answer.message)


def play_to_time_limit(graph: Graph) -> None:
    """Plays an episode up to its time limit, so that it waits for the value after its last chunk."""
    graph.announce()
    graph.start()
    for number in range(TIME_LIMIT_CHUNK + 1):
        graph.play(number, chunk=number)
    assert graph.others.outcomes[-1].truncated


def test_a_mark_right_after_a_restart_ends_the_episode_with_the_chunk_that_runs(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1)
    graph.until(lambda: 0 in values(graph))
    graph.kill_reward_node()
    graph.start_reward_node()
    graph.until(lambda: len(graph.others.events) == 3)
    assert "of which reward_node hears after its start" in mark(graph)
    graph.spin(0.3)
    graph.sample(1, chunk=1)  # policy_node has noticed the restart.
    graph.execute(1)
    graph.judge(1)
    graph.until(lambda: (0, Event.ENDED, Event.SUCCESS) in graph.event_names())
    graph.until(lambda: 1 in values(graph))
    (last,) = [one for one in graph.others.transitions if one.chunk.sequence_number == 1]
    assert last.outcome.valid and last.outcome.terminated and last.outcome.success
    assert next(event for event in graph.others.events if event.event == Event.ENDED).num_chunks == 2


def test_a_mark_right_after_a_restart_ends_the_episode_also_where_no_chunk_runs(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "REPEATING_TIME", 1.0)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 3)
    mark(graph)
    graph.sample(0)  # policy_node sends it again, because it has no answer to its transition.
    graph.until(lambda: (0, Event.ENDED, Event.SUCCESS) in graph.event_names())
    graph.until(lambda: 0 in values(graph))
    assert graph.others.transitions[-1].outcome.terminated


def test_a_chunk_that_ran_when_the_graph_was_stopped_does_not_count_as_cut_by_a_death(
    graph: Graph, states: list[msg.EpisodeState]
) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: 0 in values(graph))
    graph.stop_reward_node()
    graph.restart_robot()
    graph.start_reward_node()
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.NONE), (1, Event.RESET, Event.NONE)])
    assert graph.others.events[-2].message == "the run was stopped"
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: graph.others.outcomes[-1].sequence_number == 1)
    void = graph.others.outcomes[-1]
    assert (void.valid, void.message) == (False, "the run was stopped while the chunk ran")
    graph.until(lambda: states[-1].episode == 1)
    assert states[-1].running_when_robot_died == 0


def test_a_stop_is_not_forgotten_where_the_next_reward_node_dies_before_it_sees_the_robot(
    graph: Graph, states: list[msg.EpisodeState], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.stop_reward_node()
    with monkeypatch.context() as patch:
        patch.setattr(PresenceWatch, "update", lambda watch, now: [])  # The second reward_node sees no other node.
        graph.start_reward_node()
        graph.until(lambda: len(graph.others.events) == 3)
        graph.kill_reward_node()
    graph.restart_robot()
    graph.start_reward_node()
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.NONE), (1, Event.RESET, Event.NONE)])
    assert graph.others.events[-2].message == "the run was stopped"
    graph.until(lambda: states[-1].episode == 1)
    assert states[-1].running_when_robot_died == 0


def test_a_death_after_the_robot_was_seen_again_counts(graph: Graph, states: list[msg.EpisodeState]) -> None:
    """The reward_node before was stopped regularly, but the one after it died together with the robot."""
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 3)
    graph.sample(1, chunk=1)
    graph.spin(0.5)  # It has seen the robot_node of before.
    graph.kill_reward_node()
    graph.restart_robot()
    graph.start_reward_node()
    graph.until(lambda: (0, Event.ENDED, Event.INTERRUPTED) in graph.event_names())


def test_a_robot_that_dies_after_a_restart_of_reward_node_alone_counts(
    graph: Graph, states: list[msg.EpisodeState]
) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart()
    graph.sample(1, chunk=1)
    graph.spin(0.5)  # It has seen the robot_node of before.
    graph.restart_robot()
    graph.until(lambda: (0, Event.ENDED, Event.INTERRUPTED) in graph.event_names())
    graph.until(lambda: states[-1].running_when_robot_died == 1)


def test_a_death_that_robot_node_tells_of_counts_also_after_a_stop(
    graph: Graph, states: list[msg.EpisodeState]
) -> None:
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.spin(0.2)
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 3)
    graph.sample(0)
    graph.execute(0, status=Result.INTERRUPTED, num_steps=0)
    graph.until(lambda: (0, Event.ENDED, Event.INTERRUPTED) in graph.event_names())
    graph.until(lambda: states[-1].running_when_robot_died == 1)


def test_an_episode_that_waits_for_its_last_value_keeps_it_though_the_robot_dies(
    graph: Graph, states: list[msg.EpisodeState]
) -> None:
    play_to_time_limit(graph)
    graph.restart_robot()
    graph.spin(0.5)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
    graph.bootstrap(TIME_LIMIT_CHUNK, value=4.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])
    graph.until(lambda: values(graph).get(TIME_LIMIT_CHUNK) == 4.0)
    assert states[-1].running_when_robot_died == 0


def test_an_episode_that_waits_for_its_last_value_in_vain_ends(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished_chunks, "CLOSING_PATIENCE", 0.5)
    play_to_time_limit(graph)
    graph.restart_robot()
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])


@pytest.mark.parametrize("is_whole_graph", [True, False])
def test_an_episode_that_waits_for_its_last_value_ends_where_nobody_has_seen_its_scene(
    is_whole_graph: bool, graph: Graph
) -> None:
    play_to_time_limit(graph)
    if is_whole_graph:
        graph.kill_reward_node()
    graph.restart_policy()
    graph.restart_robot()
    if is_whole_graph:
        graph.start_reward_node()
    # It is sooner than CLOSING_PATIENCE. A new policy_node would send what it sees of the new scene.
    graph.until(
        lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)],
        timeout=6.0,
    )
