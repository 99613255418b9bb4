"""Tests that reward_node goes on where it was when its process is started anew, and what the deaths of others cost."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from std_msgs.msg import Float32
from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.conversions import transition_from_message
from support.reward_neighbors import RUN, Ack, Event, Graph, make_graph

pytestmark = pytest.mark.graph

REAL = ("env.simulator:=none", "env.realtime:=true")


@pytest.fixture
def graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch)


@pytest.fixture
def robot_graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch, *REAL)


def numbers(graph: Graph) -> list[int]:
    """Returns the sequence numbers of the transitions that were sent."""
    return [message.chunk.sequence_number for message in graph.others.transitions]


def state_of(graph: Graph) -> list[msg.EpisodeState]:
    """Returns the states that are published from now on."""
    states: list[msg.EpisodeState] = []
    graph.others.create_subscription(msg.EpisodeState, "episode_state", states.append, qos.LATCHED_SUBSCRIPTION)
    return states


def test_a_running_episode_goes_on_with_its_chunks_and_counts(graph: Graph) -> None:
    graph.announce()
    graph.start()
    started = graph.others.events[-1].header.stamp
    graph.play(0, value=0.5)
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: numbers(graph) == [0] and not len(graph.node.outbox.delivery))
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 3)
    again = graph.others.events[-1]
    assert (again.episode, again.event, again.num_chunks, again.total_reward) == (0, Event.STARTED, 1, 2.0)
    assert again.header.stamp == started  # It confirms nothing to a robot, and no newer readings are waited for.
    graph.execute(1)
    graph.judge(1)
    graph.spin(0.2)
    assert len(graph.others.outcomes) == 1  # policy_node has not sent the chunk again
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: len(graph.others.outcomes) == 2)
    graph.play(2, chunk=2, value=0.125)
    assert graph.others.outcomes[-1].truncated  # the third chunk of three
    graph.until(lambda: numbers(graph) == [0, 1])
    graph.bootstrap(2, value=4.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])
    graph.until(lambda: numbers(graph) == [0, 1, 2])
    ended = graph.others.events[-2]
    assert (ended.num_chunks, ended.total_reward) == (3, 6.0)
    values = [transition_from_message(each).next_value for each in graph.others.transitions]
    assert values == [0.25, 0.125, 4.0]


def test_a_chunk_whose_next_value_is_not_known_gets_it_when_policy_node_has_sent_both_again(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart()
    graph.sample(0)  # also where reward_node has not heard of the run yet
    graph.until(lambda: len(graph.others.outcomes) == 2)  # policy_node hears of the outcome again
    assert graph.others.outcomes[0] == graph.others.outcomes[1]
    graph.sample(1, chunk=1, value=0.75)
    graph.until(lambda: numbers(graph) == [0])
    assert graph.others.transitions[0].next_value == 0.75


def test_what_trainer_node_has_not_acknowledged_is_sent_again(graph: Graph) -> None:
    acknowledged: list[msg.TransitionAck] = []
    graph.others.create_subscription(Ack, "repeated_ack", acknowledged.append, qos.ACKNOWLEDGMENT)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1)
    graph.until(lambda: numbers(graph) == [0] and not len(graph.node.outbox.delivery))
    graph.others.ack = None
    graph.play(1, chunk=1)
    graph.sample(2, chunk=2)
    graph.until(lambda: numbers(graph) == [0, 1])
    graph.restart()
    graph.until(lambda: numbers(graph) == [0, 1, 1])
    assert graph.others.transitions[1] == graph.others.transitions[2]
    graph.sample(0)  # policy_node was dead when it was acknowledged
    graph.until(lambda: acknowledged)
    assert (acknowledged[0].sequence_number, acknowledged[0].status) == (0, Ack.ACCEPTED)
    assert numbers(graph)[:3] == [0, 1, 1]
    graph.execute(1)  # robot_node has not heard of the outcome, so that it sends its result again
    graph.until(lambda: graph.others.outcomes[-1].sequence_number == 1)


def test_an_episode_that_waits_for_a_value_waits_for_it_after_a_restart(graph: Graph) -> None:
    graph.announce()
    graph.start()
    for chunk in range(3):
        graph.play(chunk, chunk=chunk)
    graph.restart()
    graph.announce()
    graph.until(lambda: len(graph.others.events) == 3)
    graph.spin(0.3)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
    graph.sample(2, chunk=2)
    graph.bootstrap(2, value=4.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])
    graph.until(lambda: numbers(graph)[-1] == 2)


def test_marks_feedback_and_pauses_of_an_operator_stay(graph: Graph) -> None:
    feedback = graph.others.create_publisher(Float32, "human_feedback", qos.RELIABLE)
    graph.until(feedback.get_subscription_count)
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.spin(0.2)
    feedback.publish(Float32(data=0.5))
    graph.spin(0.2)
    graph.call("pause", SetBool.Request(data=True))
    assert "with the running chunk" in graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS)).message
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 4)
    assert graph.event_names()[-1] == (0, Event.PAUSED, Event.NONE)  # A robot must not move for a moment in between.
    graph.sample(0)
    graph.execute(0)
    graph.judge(0)
    graph.until(lambda: (0, Event.ENDED, Event.SUCCESS) in graph.event_names())
    graph.until(lambda: graph.others.outcomes)
    terms = {term.name: term.value for term in graph.others.outcomes[-1].terms}
    assert (terms["feedback"], terms["human_success"]) == (0.5, 1.0)


def discarded_of(graph: Graph) -> list[int]:
    """Returns the discarded episodes that somebody is told who begins to listen now."""
    told: list[int] = []

    def on_discarded(event: msg.EpisodeEvent) -> None:
        assert (event.run_id, event.sender, event.event, event.outcome) == (
            RUN,
            "robot_0",
            Event.ENDED,
            Event.DISCARDED,
        )
        told.append(event.episode)

    graph.others.create_subscription(msg.EpisodeEvent, "discarded_episode", on_discarded, qos.HISTORY)
    return told


def test_who_was_dead_when_an_operator_discarded_episodes_is_told_later_also_by_the_next_reward_node(
    graph: Graph,
) -> None:
    graph.announce()
    for outcome in (Event.DISCARDED, Event.DISCARDED, Event.FAILURE):
        graph.start()
        graph.call("end_episode", EndEpisode.Request(outcome=outcome))
    told = discarded_of(graph)
    graph.until(lambda: told == [0, 1])
    graph.restart()
    told = discarded_of(graph)
    graph.until(lambda: told == [0, 1])


def test_feedback_on_a_chunk_that_has_ended_is_in_its_transition(graph: Graph) -> None:
    feedback = graph.others.create_publisher(Float32, "human_feedback", qos.RELIABLE)
    graph.until(feedback.get_subscription_count)
    graph.announce()
    graph.start()
    graph.play(0)
    feedback.publish(Float32(data=0.5))
    graph.spin(0.3)
    graph.restart()
    graph.until(lambda: len(graph.others.events) == 3)
    graph.sample(0)
    graph.sample(1, chunk=1)
    graph.until(lambda: numbers(graph) == [0])
    assert "feedback" in {term.name for term in graph.others.transitions[0].outcome.terms}


def test_beside_a_robot_the_episode_is_paused_until_a_person_has_looked(robot_graph: Graph) -> None:
    graph = robot_graph
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart()
    graph.until(lambda: [name[1] for name in graph.event_names()] == [Event.RESET, Event.STARTED, Event.PAUSED])
    assert "reward_node was started anew" in graph.others.events[-1].message
    graph.call("pause", SetBool.Request(data=False))
    graph.until(lambda: graph.event_names()[-1][1] == Event.RESUMED)
    graph.spin(0.3)
    graph.restart_policy()
    graph.until(lambda: graph.event_names()[-1][1] == Event.PAUSED)
    assert "was started anew" in graph.others.events[-1].message
    graph.call("pause", SetBool.Request(data=False))
    graph.until(lambda: graph.event_names()[-1][1] == Event.RESUMED)


def test_in_a_simulation_policy_node_may_be_started_anew_in_an_episode(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart_policy()
    graph.until(graph.others.chunk.get_subscription_count)
    graph.spin(0.5)
    graph.play(1, chunk=1)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
    graph.until(lambda: numbers(graph) == [0])


def test_a_takeover_while_reward_node_is_dead_is_an_intervention(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.stop_reward_node()
    graph.others.takeover.publish(msg.TakeoverState(human=True))
    graph.start_reward_node()
    graph.until(lambda: len(graph.others.events) == 3 and graph.node.human_drives)
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS)).success
    graph.until(lambda: (0, Event.ENDED, Event.SUCCESS) in graph.event_names())
    ended = next(event for event in graph.others.events if event.event == Event.ENDED)
    assert ended.intervened
    assert ended.total_reward == 2.0  # The mark is not the policy's.


def test_the_death_of_the_robot_costs_the_chunk_that_ran_alone(graph: Graph) -> None:
    states = state_of(graph)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: numbers(graph) == [0])
    graph.restart_robot()
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.INTERRUPTED), (1, Event.RESET, Event.NONE)])
    void = graph.others.outcomes[-1]
    assert (void.sequence_number, void.valid) == (1, False)
    assert void.message == "neighbors died and was started anew while the chunk ran"
    assert graph.others.transitions[0].next_value == 0.25  # chunk 1 was sampled from what follows chunk 0
    graph.until(lambda: states[-1].running_when_robot_died == 1)
    assert graph.others.events[-2].num_chunks == 1
    graph.execute(1)  # robot_node had stored its result, and sends it until it hears of an outcome
    graph.until(lambda: len(graph.others.outcomes) == 3)
    again = graph.others.outcomes[-1]
    assert (again.sequence_number, again.valid, again.message) == (1, False, void.message)
    graph.restart()
    graph.until(lambda: states[-1].episode == 2)
    assert states[-1].running_when_robot_died == 1


def test_a_chunk_that_nobody_has_observed_the_end_of_was_running_too(graph: Graph) -> None:
    """Chunk 0 has an outcome, but the robot died before chunk 1 was sampled. The next chunk is of the next episode."""
    states = state_of(graph)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.restart_robot()
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    assert states[-1].running_when_robot_died == 0  # policy_node may have stored a chunk that has not arrived
    assert graph.start() == 1
    graph.sample(1, episode=1)
    graph.until(lambda: states[-1].running_when_robot_died == 1)
    void = graph.others.outcomes[-1]
    assert (void.sequence_number, void.valid) == (0, False)
    assert numbers(graph) == []


def test_robot_and_reward_node_die_together(graph: Graph) -> None:
    """The chunk that ran arrives again after its episode was interrupted, and gives the chunk before its value."""
    states = state_of(graph)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.kill_reward_node()
    graph.restart_robot()
    graph.start_reward_node()
    graph.until(lambda: (0, Event.ENDED, Event.INTERRUPTED) in graph.event_names())
    graph.sample(0)
    graph.sample(1, chunk=1, value=0.25)
    graph.until(lambda: numbers(graph) == [0])
    assert graph.others.transitions[0].next_value == 0.25
    graph.until(lambda: states[-1].running_when_robot_died == 1)
    assert (graph.others.outcomes[-1].sequence_number, graph.others.outcomes[-1].valid) == (1, False)


def test_a_robot_that_dies_before_the_start_begins_the_reset_anew(robot_graph: Graph) -> None:
    graph = robot_graph
    graph.announce()
    graph.until(lambda: graph.event_names() == [(0, Event.RESET, Event.NONE)])
    graph.spin(0.3)
    graph.restart_robot()
    graph.until(lambda: graph.event_names() == [(0, Event.RESET, Event.NONE)] * 2)


@pytest.fixture
def scripted_graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch, *REAL, "episode.reset:=scripted")


def test_a_reset_that_moves_the_arms_waits_for_a_person_after_a_restart(scripted_graph: Graph) -> None:
    graph = scripted_graph
    states = state_of(graph)
    graph.announce()
    graph.until(lambda: graph.event_names() == [(0, Event.RESET, Event.NONE)])
    graph.spin(0.3)
    assert not states[-1].paused
    graph.restart()
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    graph.until(lambda: states[-1].paused)
    assert "the next reset (scripted) moves the arms; look at the robot" in states[-1].waits_for
    graph.call("pause", SetBool.Request(data=False))
    graph.until(lambda: not states[-1].paused and "robot_node" in states[-1].waits_for)


def test_an_end_that_was_stored_is_published_after_a_restart_too(graph: Graph) -> None:
    """The process died after it had stored the end of episode 0, and before anybody heard of it or of a new start."""
    graph.announce()
    graph.start()
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.FAILURE)).success
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    graph.kill_reward_node()
    graph.start_reward_node()
    graph.until(lambda: graph.event_names()[-1] == (2, Event.RESET, Event.NONE))
    assert graph.event_names().count((0, Event.ENDED, Event.FAILURE)) == 2
    counts = state_of(graph)
    graph.until(lambda: counts and counts[-1].counts)
    assert counts[-1].counts[0].num_failure == 1  # and yet it is counted once


def test_a_second_reward_node_is_refused(graph: Graph) -> None:
    with pytest.raises(Exception, match="must be written by one process"):
        graph.start_reward_node()
