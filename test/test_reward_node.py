"""Tests reward_node among simulated neighbors: a policy, a robot, a reward source and a trainer in one other node."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, Float32
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.core import types
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from support.patience import PATIENCE
from support.reward_neighbors import (
    HORIZON,
    RUN,
    SOURCE,
    Ack,
    Event,
    Graph,
    Neighbors,
    Result,
    make_chunk,
    make_graph,
    stamp,
)

pytestmark = pytest.mark.graph


@pytest.fixture
def graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    yield from make_graph(tmp_path, monkeypatch)


def test_an_episode_of_three_chunks_becomes_three_transitions(graph: Graph) -> None:
    assert not graph.others.events  # nothing begins before the first policy version
    graph.announce()
    assert graph.start() == 0
    graph.play(0, value=0.5)
    assert not graph.others.transitions  # its next value is not known yet
    graph.play(1, chunk=1, value=0.25)
    graph.until(lambda: len(graph.others.transitions) == 1)
    graph.play(2, chunk=2, value=0.125)  # the third chunk is the last: env.max_episode_chunks
    assert graph.others.outcomes[-1].truncated
    graph.spin(0.3)
    assert graph.others.events[-1].event == Event.STARTED  # the scene stands until its value is told
    graph.bootstrap(2, value=4.0)
    graph.until(lambda: len(graph.others.transitions) == 3)
    first, second, third = (conversions.transition_from_message(message) for message in graph.others.transitions)
    assert (first.next_value, second.next_value, third.next_value) == (0.25, 0.125, 4.0)
    assert first.next_observation is None
    assert third.next_observation is not None
    assert third.next_observation.state[0] == 9.0
    assert first.outcome.reward == 2.0  # 1.0 with weight 2
    assert first.discount == pytest.approx(0.99)
    graph.until(lambda: len(graph.others.events) == 4)
    assert {(event.sender, event.prompt) for event in graph.others.events} == {
        (types.DEFAULT_SENDER, "reach both balls")
    }
    assert third.next_source == SOURCE
    ended, reset = graph.others.events[2:]
    assert (ended.event, ended.outcome, ended.total_reward, ended.num_chunks) == (Event.ENDED, Event.TIME_LIMIT, 6.0, 3)
    assert (reset.event, reset.episode) == (Event.RESET, 1)
    assert reset.seed != ended.seed


def test_a_solved_task_ends_the_episode_at_once(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0, terminated=True, success=True)
    graph.until(lambda: len(graph.others.transitions) == 1)
    assert graph.others.transitions[0].next_value == 0.0
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.SUCCESS), (1, Event.RESET, Event.NONE)])


def test_the_end_of_a_rollout_bootstraps_and_the_episode_goes_on(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.bootstrap(0, value=3.0, version=7)  # of another version: not used
    graph.spin(0.3)
    assert not graph.others.transitions
    graph.bootstrap(0, value=3.0)
    graph.until(lambda: len(graph.others.transitions) == 1)
    assert graph.others.transitions[0].next_value == 3.0
    assert not graph.others.transitions[0].outcome.truncated
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)


def test_transitions_are_repeated_until_they_are_acknowledged(graph: Graph) -> None:
    graph.others.ack = None
    graph.announce()
    graph.start()
    graph.play(0, terminated=True)
    graph.until(lambda: len(graph.others.transitions) == 2, timeout=PATIENCE)  # again after a second
    graph.others.ack = Ack.RETRY
    graph.until(lambda: len(graph.others.transitions) == 3, timeout=PATIENCE)  # again after two
    graph.others.ack = Ack.ACCEPTED
    graph.until(lambda: len(graph.node.outbox.delivery) == 0, timeout=PATIENCE)
    assert {message.chunk.sequence_number for message in graph.others.transitions} == {0}


def test_a_clock_that_steps_stops_nothing(graph: Graph) -> None:
    """The time of reward_node goes a day back and a year ahead within an episode. Chunks are joined by their stamps."""
    clock = graph.others.create_publisher(Clock, "/clock", qos.SENSOR)
    graph.node.set_parameters([Parameter("use_sim_time", value=True)])
    graph.until(clock.get_subscription_count)
    graph.announce()
    graph.start()
    for number, now in enumerate((10**9, 10**9 - 86_400, 10**9 + 31_536_000)):
        clock.publish(Clock(clock=Time(sec=now)))
        graph.until(lambda now=now: graph.node.get_clock().now().nanoseconds // 10**9 == now)
        graph.play(number, chunk=number)
    graph.bootstrap(2, value=1.0)
    graph.until(lambda: len(graph.others.transitions) == 3)
    graph.until(lambda: graph.event_names()[-1][:2] == (1, Event.RESET))


class Forger(Neighbors):
    """Publishes on the same topics under another name."""

    name = "forger"


def test_messages_of_another_node_are_named_and_not_used(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    """The first node that sends on a topic goes on. A forged acknowledgment would make reward_node forget a transition.

    A forged reward would be trained on, and a forged chunk would take the place of the true one.
    """
    graph.announce()
    graph.start()
    graph.play(0)
    graph.play(1, chunk=1)
    graph.until(lambda: len(graph.others.transitions) == 1)
    others, forger = graph.others, graph.add(Forger(graph.others.context))
    forger.ack = others.ack = None
    for topic in ("action_chunk", "transition_ack", "task_reward"):
        graph.until(lambda topic=topic: graph.node.count_publishers(topic) == 2)
    graph.spin(0.2)
    graph.others = forger
    graph.sample(2, chunk=2, value=9.0)
    graph.judge(2, reward=50.0)
    graph.spin(0.2)
    graph.others = others
    graph.play(2, chunk=2, value=0.25)  # Chunk 1 is followed by the true chunk.
    forger.acks.publish(Ack(run_id=RUN, sender="robot_0", sequence_number=1, status=Ack.ACCEPTED))
    graph.until(lambda: len(others.transitions) == 3)  # Nobody has acknowledged chunk 1, so that it comes again.
    assert [message.chunk.sequence_number for message in others.transitions] == [0, 1, 1]
    assert others.transitions[1].next_value == 0.25 and others.outcomes[-1].reward == 2.0
    log = capfd.readouterr().err
    for topic in ("action_chunk", "transition_ack", "task_reward as task"):
        assert f"those of /forger on {topic}, which /neighbors publishes" in log
    graph.remove(forger)


def test_a_silent_trainer_holds_the_policy_and_nothing_is_lost(graph: Graph) -> None:
    graph.others.ack = None
    graph.announce()
    graph.start()
    graph.node.outbox.delivery.capacity = 2
    graph.play(0)
    graph.play(1, chunk=1)
    graph.bootstrap(1, value=1.0)  # two transitions wait now
    graph.until(lambda: graph.event_names()[-1][1] == Event.PAUSED)
    assert "trainer_node" in graph.others.events[-1].message
    graph.others.ack = Ack.ACCEPTED
    graph.until(lambda: graph.event_names()[-1][1] == Event.RESUMED, timeout=PATIENCE)
    assert {message.chunk.sequence_number for message in graph.others.transitions} == {0, 1}


def test_feedback_counts_for_a_chunk_and_a_mark_is_a_term(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    publisher = graph.others.create_publisher(Float32, "human_feedback", qos.RELIABLE)
    graph.until(publisher.get_subscription_count)
    graph.announce()
    graph.start()
    log = ""

    def say(value: float, answer: str) -> None:
        nonlocal log
        publisher.publish(Float32(data=value))
        log = ""

        def heard() -> bool:
            nonlocal log
            log += capfd.readouterr().err
            return answer in log

        graph.until(heard)

    say(1.0, "human_feedback 1 is not used")  # no chunk has begun
    graph.sample(0)
    graph.spin(0.1)
    say(0.5, "human_feedback 0.5 counts for chunk 0")  # while it runs
    say(float("nan"), "human_feedback must be finite, got nan")
    graph.execute(0)
    graph.judge(0)
    graph.until(lambda: graph.others.outcomes)
    assert graph.others.outcomes[0].reward == 2.5
    say(-1.0, "human_feedback -1 counts for chunk 0")  # after it
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS)).success
    graph.until(lambda: graph.others.transitions)
    # The reward is 2 * 1 of the task, 0.5 - 1 of feedback, and 1 for the mark.
    terms = {term.name: term.value for term in graph.others.transitions[0].outcome.terms}
    assert terms == {"progress": 1.0, "feedback": -0.5, "human_success": 1.0}
    assert graph.others.transitions[0].outcome.reward == 2.5
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    assert graph.others.events[-2].total_reward == 2.5
    say(1.0, "human_feedback 1 is not used")


def refuse(graph: Graph, number: int) -> None:
    """Plays a chunk that robot_node refuses. No reward will come for it."""
    graph.sample(number, chunk=number)
    graph.execute(number, status=Result.REFUSED, num_steps=0, message="first target 0.7 rad away")
    graph.until(lambda: graph.others.outcomes and graph.others.outcomes[-1].sequence_number == number)


def test_a_refused_chunk_is_a_gap_in_an_episode_that_goes_on(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    refuse(graph, 1)
    assert not graph.others.outcomes[-1].valid
    assert graph.others.outcomes[-1].message == "REFUSED: first target 0.7 rad away"
    graph.play(2, chunk=2)
    assert not graph.others.outcomes[-1].truncated  # the second that counts of three: env.max_episode_chunks
    graph.play(3, chunk=3)
    assert graph.others.outcomes[-1].truncated
    graph.bootstrap(3, value=1.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.TIME_LIMIT), (1, Event.RESET, Event.NONE)])
    assert graph.others.events[-2].num_chunks == 3
    assert {message.chunk.sequence_number for message in graph.others.transitions} == {0, 2, 3}


def test_refusals_in_a_row_are_held_until_the_operator_goes_on(graph: Graph) -> None:
    graph.announce()
    graph.start()
    for number in range(9):
        refuse(graph, number)
    graph.play(9, chunk=9)  # begins the count anew
    for number in range(10, 19):
        refuse(graph, number)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
    refuse(graph, 19)
    graph.until(lambda: graph.event_names()[-1] == (0, Event.PAUSED, Event.NONE))
    assert "10 chunks in a row passed no target, the last by: REFUSED: first" in graph.others.events[-1].message
    assert graph.call("pause", SetBool.Request(data=False)).success
    graph.until(lambda: graph.event_names()[-1] == (0, Event.RESUMED, Event.NONE))
    refuse(graph, 20)
    assert graph.event_names()[-1] == (0, Event.RESUMED, Event.NONE)


def test_chunks_that_pass_no_target_go_on_and_are_held_after_ten(graph: Graph) -> None:
    graph.announce()
    graph.start()
    for number in range(10):
        assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
        graph.sample(number, chunk=number)
        graph.execute(number, status=Result.LIMITED, num_steps=0, message="too slow")
        graph.until(lambda number=number: len(graph.others.outcomes) == number + 1)
        assert not graph.others.outcomes[-1].valid
    graph.until(lambda: graph.event_names()[-1] == (0, Event.PAUSED, Event.NONE))
    assert "10 chunks in a row passed no target, the last by: LIMITED: too slow" in graph.others.events[-1].message


def test_a_robot_that_keeps_failing_is_held_until_the_operator_goes_on(graph: Graph) -> None:
    graph.announce()
    for number in range(3):
        episode = graph.start()
        graph.sample(number, episode=episode)
        graph.execute(number, status=Result.FAULT, num_steps=0, message="no joint states")
        graph.until(lambda episode=episode: graph.event_names()[-1] == (episode + 1, Event.RESET, Event.NONE))
    assert graph.call("start_episode", Trigger.Request()).success
    graph.until(lambda: graph.event_names()[-1][1] == Event.PAUSED)
    assert "no joint states" in graph.others.events[-1].message
    assert graph.call("pause", SetBool.Request(data=False)).message == "not paused"
    graph.until(lambda: graph.event_names()[-1][1] == Event.RESUMED)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_chunk_that_the_robot_did_not_execute_ends_the_episode_and_the_chunk_before_counts(
    graph: Graph, is_stopped: bool
) -> None:
    """A chunk that arrives after an emergency stop is refused, and ends the episode like one during which it came."""
    if is_stopped:
        graph.others.stop.publish(Bool(data=True))
        graph.spin(0.2)
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.execute(0)
    graph.judge(0)
    graph.until(lambda: graph.others.outcomes)
    graph.sample(1, chunk=1, value=4.0)
    status = Result.REFUSED if is_stopped else Result.FAULT
    graph.execute(1, status=status, num_steps=0, message="the waist did not move")
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.FAILURE), (1, Event.RESET, Event.NONE)])
    graph.until(lambda: graph.others.transitions)
    assert [each.chunk.sequence_number for each in graph.others.transitions[:1]] == [0]
    assert graph.others.transitions[0].next_value == 4.0
    assert not graph.others.outcomes[-1].valid
    assert all(event.outcome != Event.DISCARDED for event in graph.others.events)


def test_a_fault_after_some_steps_cuts_the_segment_there(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.execute(0, status=Result.FAULT, num_steps=2, message="joint states are stale")
    graph.judge(0)
    graph.until(lambda: graph.others.outcomes)
    outcome = graph.others.outcomes[0]
    assert (outcome.valid, outcome.truncated, outcome.execution.num_steps) == (True, True, 2)
    graph.bootstrap(0, value=1.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.FAILURE), (1, Event.RESET, Event.NONE)])
    assert graph.others.transitions[0].outcome.execution.message == "joint states are stale"


def test_a_reward_that_is_not_finite_is_told_and_not_trained_on(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.execute(0)
    graph.judge(0, reward=float("nan"))
    graph.until(lambda: graph.others.outcomes)
    assert "value of term 'progress' must be finite" in graph.others.outcomes[0].message
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))


def test_the_operator_marks_success_with_the_running_chunk(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.spin(0.3)
    response = graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS))
    assert response.success
    assert "with the running chunk" in response.message
    graph.execute(0)
    graph.judge(0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.SUCCESS), (1, Event.RESET, Event.NONE)])
    graph.until(lambda: graph.others.transitions)
    message = graph.others.transitions[0]
    assert (message.outcome.terminated, message.outcome.success, message.next_value) == (True, True, 0.0)


def test_a_mark_that_is_changed_before_the_chunk_has_ended_is_told(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.announce()
    graph.start()
    graph.sample(0)
    graph.spin(0.3)
    graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS))
    response = graph.call("end_episode", EndEpisode.Request(outcome=Event.FAILURE))
    assert response.message == "episode 0 ends as FAILURE (was SUCCESS) with the running chunk"
    assert "the operator has changed the mark" in capfd.readouterr().err


def test_a_human_finishes_an_episode_that_the_policy_is_not_credited_with(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1)
    graph.take_over(True)
    graph.execute(1, status=Result.TAKEOVER, num_steps=2)
    graph.judge(1)
    graph.bootstrap(1, value=3.0)
    graph.until(lambda: len(graph.others.transitions) == 2)
    cut = conversions.transition_from_message(graph.others.transitions[1])
    assert (cut.outcome.cut_by_takeover, cut.outcome.num_steps, cut.next_value) == (True, 2, 3.0)
    for number in range(2, 4):  # chunks of the policy would have met the time limit of three
        graph.follow(number, chunk=number + 1)
        graph.judge(number, terminated=number == 3, success=number == 3)
    graph.until(lambda: len(graph.others.transitions) == 4)
    driven, last = (conversions.transition_from_message(message) for message in graph.others.transitions[2:])
    assert driven.chunk.human_driven
    assert not (driven.outcome.cut_by_takeover or driven.outcome.truncated)
    assert (driven.next_value, last.next_value) == (0.75, 0.0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.SUCCESS), (1, Event.RESET, Event.NONE)])
    assert graph.others.events[-2].intervened


def test_a_mark_on_what_a_human_did_is_not_the_policys(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.take_over(True)
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS)).success
    graph.bootstrap(0, value=1.0)
    graph.until(lambda: graph.others.transitions)
    message = graph.others.transitions[0]
    assert (message.outcome.terminated, message.outcome.success, message.next_value) == (False, False, 1.0)


def test_a_fault_under_a_human_ends_the_episode_also_where_the_policy_has_gone_on(graph: Graph) -> None:
    """The rollout was full. So the trainer made the next version before the sensors were back for a bootstrap."""
    graph.announce()
    graph.start()
    graph.take_over(True)
    graph.play(0)
    graph.bootstrap(0, value=1.0)
    graph.sample(1, chunk=2)
    graph.execute(1, status=Result.FAULT, num_steps=2, message="silent")
    graph.judge(1)
    graph.until(lambda: graph.others.outcomes[-1].truncated)
    graph.announce()  # the same again, by a trainer that was started anew
    graph.spin(0.3)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)
    graph.announce(version=1)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.FAILURE), (1, Event.RESET, Event.NONE)])


def test_the_operator_marks_failure_between_two_chunks(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.FAILURE)).success
    graph.until(lambda: graph.others.transitions)
    message = graph.others.transitions[0]
    assert (message.outcome.terminated, message.outcome.success) == (True, False)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.FAILURE), (1, Event.RESET, Event.NONE)])


def test_a_discarded_episode_leaves_nothing_behind(graph: Graph) -> None:
    graph.others.ack = None
    graph.announce()
    graph.start()
    graph.play(0)
    graph.play(1, chunk=1)
    graph.sample(2, chunk=2)
    graph.until(lambda: len(graph.node.outbox.delivery) == 2)
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.DISCARDED)).success
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    assert len(graph.node.outbox.delivery) == 0
    graph.until(lambda: len(graph.others.outcomes) == 5)  # Nobody waits any more for the transitions of the first two.
    assert [(each.sequence_number, each.valid) for each in graph.others.outcomes[2:]] == [
        (2, False),
        (0, False),
        (1, False),
    ]
    graph.sample(3, chunk=3)  # sampled before the policy heard of it
    graph.until(lambda: len(graph.others.outcomes) == 6)
    assert graph.others.outcomes[-1].message == "its episode is over"


@pytest.mark.parametrize(
    ("service", "request_", "text"),
    [
        ("start_episode", Trigger.Request(), "only after a reset"),
        ("end_episode", EndEpisode.Request(outcome=Event.TIME_LIMIT), "must be one of 1"),
    ],
)
def test_services_say_why_not(graph: Graph, service: str, request_: Any, text: str) -> None:
    graph.announce()
    graph.start()
    response = graph.call(service, request_)
    assert not response.success
    assert text in response.message


def test_what_cannot_be_read_costs_the_episode_and_is_told(graph: Graph) -> None:
    graph.announce()
    graph.start()
    id = types.ChunkId(RUN, 0, 0, 0)
    chunk = conversions.chunk_to_message(id, make_chunk(value=0.5), stamp=stamp(0))
    chunk.temperature = 0.0
    graph.others.chunk.publish(chunk)
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))
    graph.until(lambda: graph.others.outcomes)
    assert not graph.others.outcomes[0].valid
    assert graph.others.outcomes[0].message.startswith("malformed action_chunk: temperature must be more than 0")
    assert graph.others.events[-2].message.startswith("malformed action_chunk 0: temperature must be more than 0")
    graph.start()
    graph.play(1, episode=1)
    bootstrap = msg.Bootstrap(run_id=RUN, sequence_number=1, value=float("nan"))
    bootstrap.observation = chunk.observation
    graph.others.bootstrap.publish(bootstrap)
    graph.until(lambda: graph.event_names()[-1] == (2, Event.RESET, Event.NONE))
    assert graph.others.events[-2].message == "malformed bootstrap of chunk 1: value must be finite, got nan"
    graph.start()
    graph.sample(2, episode=2)
    result = Result(header=header_of(stamp(2)), end=time_from_ns(stamp(2) + 7), status=9, num_steps=HORIZON)
    graph.others.result.publish(result)
    graph.until(lambda: graph.event_names()[-1][0] == 3)
    assert "malformed execution_result: status must be within 0..6, got 9" in graph.others.outcomes[-1].message


def test_another_run_ends_the_episode_and_begins_with_its_own_number(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.announce(run_id="run-b", next_episode=5)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.DISCARDED), (5, Event.RESET, Event.NONE)])
    ended, reset = graph.others.events[-2:]
    assert (ended.run_id, ended.message, reset.run_id) == (RUN, "run run-b began", "run-b")
    graph.sample(0)  # of the run before
    graph.spin(0.1)
    assert graph.others.outcomes == []


def test_a_pause_stays_over_the_end_of_an_episode_and_the_start_of_the_next_one_says_so(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.call("pause", SetBool.Request(data=True))
    graph.call("end_episode", EndEpisode.Request(outcome=Event.DISCARDED))
    response = graph.call("start_episode", Trigger.Request())
    assert response.message == "episode 1 has started, and is paused: call the service pause with data: false"


def test_no_mark_ends_an_episode_that_has_not_begun_or_still_resets(graph: Graph) -> None:
    response = graph.call("end_episode", EndEpisode.Request(outcome=Event.SUCCESS))
    assert (response.success, response.message) == (False, "no episode can end as SUCCESS: there is no episode")
    graph.announce()
    graph.until(lambda: graph.others.events)
    response = graph.call("end_episode", EndEpisode.Request(outcome=Event.FAILURE))
    assert (response.success, response.message) == (
        False,
        "no episode can end as FAILURE: the scene is being reset",
    )
    assert graph.call("end_episode", EndEpisode.Request(outcome=Event.DISCARDED)).success
    graph.until(lambda: graph.event_names()[-1] == (1, Event.RESET, Event.NONE))


def test_feedback_on_a_chunk_that_does_not_count_goes_to_the_last_one(graph: Graph) -> None:
    publisher = graph.others.create_publisher(Float32, "human_feedback", qos.RELIABLE)
    graph.until(publisher.get_subscription_count)
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1, version=1)  # Its value is not the next value of chunk 0, which therefore waits.
    graph.spin(0.1)
    publisher.publish(Float32(data=0.5))
    graph.spin(0.1)
    graph.execute(1, status=Result.REFUSED, num_steps=0, message="too far away")
    graph.until(lambda: len(graph.others.outcomes) == 2)
    graph.bootstrap(0, value=1.0)
    graph.until(lambda: graph.others.transitions)
    assert {term.name: term.value for term in graph.others.transitions[0].outcome.terms} == {
        "progress": 1.0,
        "feedback": 0.5,
    }


def test_a_pause_outlives_the_reset(graph: Graph) -> None:
    graph.announce()
    graph.until(lambda: graph.others.events)
    assert graph.call("pause", SetBool.Request(data=True)).message == "paused"
    graph.call("start_episode", Trigger.Request())
    graph.until(lambda: [name[1] for name in graph.event_names()] == [Event.RESET, Event.STARTED, Event.PAUSED])
    graph.call("pause", SetBool.Request(data=False))
    graph.until(lambda: graph.event_names()[-1][1] == Event.RESUMED)


def test_a_restarted_robot_interrupts_the_episode(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.play(0)
    graph.others.destroy_publisher(graph.others.result)
    graph.spin(0.5)
    assert graph.event_names()[-1] == (0, Event.STARTED, Event.NONE)  # it waits
    graph.others.result = graph.others.create_publisher(Result, "execution_result", qos.RELIABLE)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.INTERRUPTED), (1, Event.RESET, Event.NONE)])


def test_a_chunk_that_ran_when_robot_node_died_counts_as_such_by_the_word_of_the_next_robot_node(graph: Graph) -> None:
    """reward_node learns it also where it was dead itself when robot_node was started anew."""
    graph.announce()
    graph.start()
    graph.play(0)
    graph.sample(1, chunk=1)
    graph.execute(1, status=Result.INTERRUPTED, num_steps=0)
    graph.until(lambda: graph.event_names()[-2:] == [(0, Event.ENDED, Event.INTERRUPTED), (1, Event.RESET, Event.NONE)])
    assert not graph.others.outcomes[-1].valid
    assert graph.others.outcomes[-1].message == "robot_node died while the chunk ran"


def test_a_simulator_that_died_interrupts_the_episode_as_robot_node_says(graph: Graph) -> None:
    """It is no fault of the robot: three of them in a row would wait for a person."""
    graph.announce()
    for episode in range(4):
        graph.start()
        graph.sample(episode, episode=episode, chunk=0)
        graph.execute(episode, status=Result.INTERRUPTED, num_steps=0, message="no joint states", num_commands=1)
        graph.until(lambda episode=episode: (episode, Event.ENDED, Event.INTERRUPTED) in graph.event_names())
    assert graph.others.outcomes[-1].message == "the simulator died while the chunk ran"
    graph.until(lambda: graph.event_names()[-1] == (4, Event.RESET, Event.NONE))


def test_a_neighbor_that_restarts_after_the_end_and_a_run_that_begins_at_its_end_cost_nothing(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.announce(final=True)
    graph.spin(0.3)
    assert graph.others.events == []
    graph.others.destroy_publisher(graph.others.result)
    graph.spin(0.3)
    graph.others.result = graph.others.create_publisher(Result, "execution_result", qos.RELIABLE)
    graph.spin(0.3)
    assert graph.others.events == []
    assert "interrupt" not in capfd.readouterr().err


def test_the_final_version_ends_it_quietly(graph: Graph) -> None:
    graph.announce()
    graph.start()
    graph.announce(version=1, final=True)
    graph.until(lambda: graph.event_names()[-1] == (0, Event.ENDED, Event.NONE))
    graph.spin(0.3)
    assert graph.event_names()[-1] == (0, Event.ENDED, Event.NONE)


def test_a_restarted_reward_node_goes_on_with_a_fresh_number(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for expected in (0, 1):
        graphs = make_graph(tmp_path, monkeypatch)
        graph = next(graphs)
        graph.announce()
        assert graph.start() == expected
        assert next(graphs, None) is None


def test_each_episode_has_a_prompt_by_its_weight_and_a_discarded_one_comes_again_after_a_restart_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights 2, 1 the prompts are cup, door, cup, and so on, as the script form has them too.

    The first door is discarded. The node is started anew while the second episode with the prompt door runs. It goes on
    with it and then interrupts it, because the robot was started anew as well, so that it does not count.
    """
    runs = [
        ([Event.SUCCESS, Event.DISCARDED], ["cup", "door", "door"]),
        ([Event.FAILURE, Event.SUCCESS], ["door", "door", "cup", "cup"]),
    ]
    for endings, expected in runs:
        graphs = make_graph(tmp_path, monkeypatch, "episode.prompts:=['2=cup', 'door']")
        graph = next(graphs)
        graph.announce()
        for ending in endings:
            graph.start()
            assert graph.call("end_episode", EndEpisode.Request(outcome=ending)).success
        graph.start()
        prompts = {(event.episode, event.prompt) for event in graph.others.events}  # one in all events of an episode
        assert [prompt for _, prompt in sorted(prompts)] == expected
        assert next(graphs, None) is None
