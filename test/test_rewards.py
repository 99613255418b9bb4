"""Tests reward terms, the referee, assembly and delivery of transitions, and the life of episodes."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.config import PPOConfig, RewardConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import (
    ChunkId,
    ChunkOutcome,
    ModelObservation,
    RewardTerm,
    SampledChunk,
    Transition,
    total_reward,
)
from chunk_ppo_ros.rewards import chunk_join, referee, terms
from chunk_ppo_ros.rewards.assembler import Gap, TransitionAssembler
from chunk_ppo_ros.rewards.delivery import Delivery
from chunk_ppo_ros.rewards.episodes import Ending, Episodes, Event
from support.executions import execution

# The tests below check reward terms and their sum.


def test_total_is_the_weighted_sum() -> None:
    # 2 * 0.5 + 1 * 3 - 0.1 * 10 = 3
    assert total_reward(
        [RewardTerm("a", 0.5, 2.0), RewardTerm("b", 3.0), RewardTerm("c", 10.0, -0.1)]
    ) == pytest.approx(3)


def test_terms_of_all_sources_are_joined_in_order() -> None:
    first, second = RewardTerm("a", 1.0), RewardTerm("b", 2.0)
    assert terms.combine([[first], [], [second]]) == (first, second)


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([[RewardTerm("a", 1.0)], [RewardTerm("a", 2.0)]], "a name of its own, got 'a' twice"),
        ([[RewardTerm("a", float("nan"))]], "reward term 'a' must be finite"),
        ([[RewardTerm("a", 1.0, float("inf"))]], "reward term 'a' must be finite"),
    ],
)
def test_bad_terms_are_refused(sources: list[list[RewardTerm]], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        terms.combine(sources)


# The tests below check the assembly of transitions. A table lists episodes and the transitions that they must give.

OBSERVATION = ModelObservation(
    images=np.zeros((1, 2, 2, 3), np.uint8),
    image_mask=np.ones(1, bool),
    prompt_tokens=np.zeros(1, np.int32),
    prompt_mask=np.ones(1, bool),
    state=np.zeros(1, np.float32),
)


def make_chunk(value: float, version: int = 0) -> SampledChunk:
    empty = np.zeros(1, np.float32)
    tokens, mask = np.zeros(1, np.int32), np.ones(1, bool)
    return SampledChunk(OBSERVATION, tokens, mask, empty, value, empty[None], version, 1.0, 1, 0.0)


def make_outcome(**fields: object) -> ChunkOutcome:
    given = {"reward": 1.0, "reward_terms": (), "execution": execution(4), "terminated": False, "truncated": False}
    given |= fields
    return ChunkOutcome(**given)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Played:
    """One row of the table: a chunk with its value, how it ended, the value sent after it, and the next value.

    The next value is `expected`. It is None where no transition may come.
    """

    value: float
    expected: float | None
    episode: int = 0
    version: int = 0
    bootstrap: float | None = None
    ends: tuple[str, ...] = ()
    num_steps: int = 4


TABLE: dict[str, list[Played]] = {
    # The next value is the next chunk's own, and nothing follows the end state.
    "terminated": [Played(1.0, 2.0), Played(2.0, 3.0), Played(3.0, 0.0, ends=("terminated",))],
    # A time limit cuts the segment, and the value after it is sent by itself.
    "truncated": [Played(1.0, 2.0), Played(2.0, 7.0, bootstrap=7.0, ends=("truncated",))],
    # That value is never taken from the next episode's first chunk.
    "truncated without bootstrap": [
        Played(1.0, None, ends=("truncated",)),
        Played(2.0, 0.0, episode=1, ends=("terminated",)),
    ],
    "terminated ignores a bootstrap": [Played(1.0, 0.0, bootstrap=5.0, ends=("terminated",))],
    # A takeover cuts the segment although the episode goes on and the next chunk is there.
    "takeover": [Played(1.0, 6.0, bootstrap=6.0, ends=("takeover",)), Played(2.0, 0.0, ends=("terminated",))],
    # A rollout ends inside an episode. The next chunk is by the next version, whose value does not count.
    "rollout end": [Played(1.0, 9.0, bootstrap=9.0), Played(2.0, 0.0, version=1, ends=("terminated",))],
    "rollout end without bootstrap": [Played(1.0, None), Played(2.0, 0.0, version=1, ends=("terminated",))],
    # A refused chunk makes no transition, but its value is that of the state its predecessor led to.
    "refused": [Played(1.0, 2.0), Played(2.0, None, num_steps=0), Played(3.0, 0.0, ends=("terminated",))],
    "last of what is known": [Played(1.0, 2.0), Played(2.0, None)],
}


def feeds(played: list[Played], assembler: TransitionAssembler) -> list:
    """Returns the arrivals of a table row as functions, in the order of the real graph."""
    arrivals = []
    for number, one in enumerate(played):
        id = ChunkId("run", number, one.episode, number)
        status = Status.TAKEOVER if "takeover" in one.ends else Status.EXECUTED
        ends = {name: True for name in one.ends if name != "takeover"}
        outcome = make_outcome(execution=execution(one.num_steps, status=status), reward=float(number), **ends)
        arrivals.append(lambda id=id, one=one: assembler.add_chunk(id, make_chunk(one.value, one.version)))
        arrivals.append(lambda id=id, outcome=outcome: assembler.add_outcome(id, outcome))
        if one.bootstrap is not None:
            arrivals.append(lambda n=number, one=one: assembler.add_bootstrap(n, OBSERVATION, one.bootstrap))
    return arrivals


def summary(transitions: list[Transition]) -> dict[int, float]:
    assert len({each.id for each in transitions}) == len(transitions)
    return {each.id.sequence_number: each.next_value for each in transitions}


def expected(played: list[Played]) -> dict[int, float]:
    return {number: one.expected for number, one in enumerate(played) if one.expected is not None}


@pytest.mark.parametrize("name", TABLE)
def test_table_of_episodes(name: str) -> None:
    assembler = TransitionAssembler(PPOConfig())
    transitions = []
    for feed in feeds(TABLE[name], assembler):
        feed()
        transitions += assembler.pop_complete()
    assert summary(transitions) == expected(TABLE[name])
    for transition in transitions:
        one = TABLE[name][transition.id.sequence_number]
        has_next = one.bootstrap is not None and not transition.outcome.terminated
        assert (transition.next_observation is not None) == has_next
        assert transition.outcome.reward == transition.id.sequence_number
        assert transition.discount == 0.99


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_and_duplicates_change_nothing(name: str, seed: int) -> None:
    assembler = TransitionAssembler(PPOConfig())
    arrivals = 2 * feeds(TABLE[name], assembler)
    random.Random(seed).shuffle(arrivals)
    transitions = []
    for feed in arrivals:
        feed()
        transitions += assembler.pop_complete()
    assert summary(transitions) == expected(TABLE[name])


def test_popped_together_they_are_in_order() -> None:
    assembler = TransitionAssembler(PPOConfig())
    for feed in reversed(feeds(TABLE["terminated"], assembler)):
        feed()
    assert [transition.id.sequence_number for transition in assembler.pop_complete()] == [0, 1, 2]
    assert assembler.pop_complete() == []
    assert assembler.pending() == []


def test_a_gap_tells_its_reason_once() -> None:
    assembler = TransitionAssembler(PPOConfig())
    id = ChunkId("run", 0, 0, 0)
    assembler.add_chunk(id, make_chunk(1.0))
    assembler.add_outcome(id, ChunkOutcome.without_steps(ExecutionResult.nothing(Status.REFUSED, "too far away")))
    assert assembler.pop_complete() == []
    assert assembler.pop_gaps() == [Gap(id, "too far away")]
    assert assembler.pop_gaps() == []


def test_a_discarded_episode_leaves_others_alone() -> None:
    assembler = TransitionAssembler(PPOConfig())
    played = [
        Played(1.0, None),
        Played(2.0, None, ends=("terminated",)),
        Played(3.0, 0.0, episode=1, ends=("terminated",)),
    ]
    arrivals = feeds(played, assembler)
    for feed in arrivals[:2]:
        feed()
    assert assembler.discard_episode(0) == [ChunkId("run", 0, 0, 0)]
    for feed in arrivals[2:]:
        feed()  # what still comes of episode 0 is ignored
    assert summary(assembler.pop_complete()) == {2: 0.0}


def test_one_number_belongs_to_one_chunk() -> None:
    assembler = TransitionAssembler(PPOConfig())
    assembler.add_chunk(ChunkId("run", 3, 0, 0), make_chunk(1.0))
    with pytest.raises(ValueError, match="sequence number 3 must belong to one chunk"):
        assembler.add_chunk(ChunkId("run", 3, 1, 0), make_chunk(1.0))


def end(outcome: ChunkOutcome) -> ChunkOutcome:
    return dataclasses.replace(outcome, terminated=True)


def test_a_known_outcome_can_become_the_end_of_the_episode() -> None:
    assembler = TransitionAssembler(PPOConfig())
    id = ChunkId("run", 0, 0, 0)
    assert assembler.amend_outcome(id, end) is None
    for feed in feeds([Played(1.0, None)], assembler):
        feed()
    assert assembler.pop_complete() == []
    changed = assembler.amend_outcome(id, end)
    assert changed is not None
    before, after = changed
    assert (before.terminated, after.terminated) == (False, True)
    (transition,) = assembler.pop_complete()
    assert (transition.next_value, transition.outcome) == (0.0, after)
    assert assembler.amend_outcome(id, end) is None  # too late


def test_an_outcome_that_is_not_there_or_counts_nothing_is_not_changed() -> None:
    assembler = TransitionAssembler(PPOConfig())
    first, second = ChunkId("run", 0, 0, 0), ChunkId("run", 1, 0, 1)
    assembler.add_chunk(first, make_chunk(1.0))
    assert assembler.amend_outcome(first, end) is None
    assembler.add_outcome(first, make_outcome())
    assert assembler.amend_outcome(dataclasses.replace(first, episode=7), end) is None  # of another chunk
    assembler.add_outcome(second, ChunkOutcome.without_steps(ExecutionResult.nothing(Status.REFUSED, "too far")))
    assert assembler.amend_outcome(second, end) is None


@given(num_steps=st.integers(1, 16))
def test_discount_per_step_counts_executed_steps(num_steps: int) -> None:
    assembler = TransitionAssembler(PPOConfig(discount_per_step=True, gamma_step=0.5))
    for feed in feeds([Played(1.0, 0.0, ends=("terminated",), num_steps=num_steps)], assembler):
        feed()
    assert assembler.pop_complete()[0].discount == 0.5**num_steps


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chunk_ppo_ros.rewards.assembler.MAX_FINISHED", 3)
    assembler = TransitionAssembler(PPOConfig())
    for feed in feeds([Played(1.0, 0.0, episode=n, ends=("terminated",)) for n in range(10)], assembler):
        feed()
        assembler.pop_complete()
    assert len(assembler.records) == 3


def test_a_run_of_a_thousand_finished_chunks_is_remembered_and_no_more() -> None:
    assembler = TransitionAssembler(PPOConfig())
    nothing = ChunkOutcome.without_steps(ExecutionResult.nothing(Status.REFUSED, "too far away"))
    for number in range(1030):
        assembler.add_outcome(ChunkId("run", number, 0, number), nothing)
    assembler.pop_complete()
    assert (min(assembler.records), len(assembler.records)) == (6, 1024)


# The tests below check what the referee decides, and which messages it waits for.

ACTIONS = np.zeros((4, 14), np.float32)


def joined(
    *, asked: int = 4, executed: int = 4, status: int = 0, message: str = "", **sources: object
) -> chunk_join.Joined:
    result = execution(executed, status=Status(status), clamped=min(1, executed), end=9, message=message)
    reports = {name: each for name, each in sources.items() if isinstance(each, chunk_join.SourceReport)}
    return chunk_join.Joined(chunk_join.SentChunk(ChunkId("run", 0, 0, 0), ACTIONS, asked), result, reports)


def source(name: str = "task", value: float = 1.0, **ends: bool) -> chunk_join.SourceReport:
    return chunk_join.SourceReport(name, (RewardTerm(f"{name}/progress", value, 2.0),), **ends)


def judge(
    entry: chunk_join.Joined, *, limit: bool = False, required: tuple[str, ...] = ("task",)
) -> referee.JudgedChunk:
    return referee.judge(entry, config=RewardConfig(sources=required), time_limit_reached=limit)


@pytest.mark.parametrize(
    ("report", "limit", "ends", "ending"),
    [
        ({}, False, (False, False), Ending.TIME_LIMIT),
        ({}, True, (False, True), Ending.TIME_LIMIT),
        ({"truncated": True}, False, (False, True), Ending.TIME_LIMIT),
        ({"terminated": True}, True, (True, False), Ending.FAILURE),  # an end state is no time limit
        ({"terminated": True, "success": True}, False, (True, False), Ending.SUCCESS),
    ],
)
def test_what_is_decided_on_executed_chunks(
    report: dict[str, bool], limit: bool, ends: tuple[bool, bool], ending: Ending
) -> None:
    judged = judge(joined(task=source(**report)), limit=limit)
    assert judged.valid
    assert (judged.outcome.terminated, judged.outcome.truncated) == ends
    assert judged.outcome.reward == 2.0
    assert judged.outcome.execution.num_clamped_steps == 1
    assert judged.ending()[0] is ending


def test_sources_are_summed_and_any_of_them_ends_it() -> None:
    entry = joined(task=source(value=1.0), human=source("human", value=-0.25, terminated=True))
    judged = judge(entry, required=("task", "human"))
    assert judged.outcome.reward == 1.5  # 2 * (1 - 0.25)
    assert judged.outcome.terminated


@pytest.mark.parametrize(
    ("entry", "text", "robot_fault"),
    [
        (joined(status=1, executed=0, message="too old"), "REFUSED: too old", False),
        (joined(status=2, executed=0), "FAULT: no step was executed", True),
        (joined(status=4, executed=0, message="paused"), "CANCELLED: paused", False),
        (joined(status=5, executed=0, message="too slow"), "LIMITED: too slow", False),
        (joined(status=3, executed=0), "TAKEOVER: no step was executed", False),
        (joined(executed=5, task=source()), r"at most those asked \(4\), got 5", True),
        (joined(task=chunk_join.SourceReport("task", (), error="NaN")), "NaN", True),
        (joined(task=source(), human=dataclasses.replace(source(), source="human")), "'task/progress' twice", True),
    ],
)
def test_chunks_that_cannot_be_trained_on(entry: chunk_join.Joined, text: str, robot_fault: bool) -> None:
    judged = judge(entry, required=("task", "human"))
    assert not judged.valid
    assert judged.robot_fault == robot_fault
    assert judged.outcome.num_steps == 0  # a gap for the assembler
    assert not judged.outcome.cut_by_takeover  # nothing was cut
    assert re.search(text, judged.reason)
    assert judged.outcome.execution.message == judged.reason


ENDINGS: dict[tuple[Status, int], tuple[float | None, bool]] = {
    # The status of a chunk and the number of its steps that count: the value after it, and whether its episode fails.
    # None is a gap. 3 is the value of the next chunk's observation, and 7 is that of a bootstrap, where it is cut.
    (Status.EXECUTED, 4): (3.0, False),
    (Status.LIMITED, 2): (3.0, False),
    (Status.LIMITED, 0): (None, False),
    (Status.REFUSED, 0): (None, False),
    (Status.CANCELLED, 2): (3.0, False),
    (Status.CANCELLED, 0): (None, False),
    (Status.TAKEOVER, 2): (7.0, False),
    (Status.TAKEOVER, 0): (None, False),
    (Status.FAULT, 2): (7.0, True),
    (Status.FAULT, 0): (None, True),
}


@pytest.mark.parametrize(("status", "num_steps"), ENDINGS)
def test_what_the_end_of_a_chunk_makes_of_it_and_of_the_chunk_before(status: Status, num_steps: int) -> None:
    """The chunk before bootstraps from the observation of a chunk that is dropped."""
    value, fails = ENDINGS[status, num_steps]
    assembler = TransitionAssembler(PPOConfig(discount_per_step=True, gamma_step=0.9))
    ends = [joined(task=source()), joined(status=status, executed=num_steps, message="why", task=source())]
    judged = [judge(end) for end in [*ends, joined(task=source(terminated=True))]]
    for number, one in enumerate(judged):
        id = ChunkId("run", number, 0, number)
        assembler.add_chunk(id, make_chunk(number + 1.0))
        if number < 2 or value != 7.0:  # After a cut no chunk follows before its bootstrap.
            assembler.add_outcome(id, one.outcome)
    if value == 7.0:
        assert judged[1].outcome.truncated or judged[1].outcome.cut_by_takeover
        assembler.add_bootstrap(1, OBSERVATION, 7.0)
    made = {each.id.sequence_number: (each.next_value, each.discount) for each in assembler.pop_complete()}
    assert made[0] == (2.0, pytest.approx(0.9**4))
    assert made.get(1) == (None if value is None else (value, pytest.approx(0.9**num_steps)))
    assert (judged[1].robot_fault or bool(judged[1].outcome.fault and judged[1].valid)) == fails


def test_faults_and_takeovers_after_some_steps() -> None:
    fault = judge(joined(status=2, executed=2, message="stale", task=source()))
    assert (fault.valid, fault.outcome.truncated, fault.outcome.fault, fault.outcome.num_steps) == (
        True,
        True,
        "stale",
        2,
    )
    assert fault.ending() == (Ending.FAILURE, "robot fault: stale")
    takeover = judge(joined(status=3, executed=2, task=source()))
    assert (takeover.valid, takeover.outcome.cut_by_takeover, takeover.outcome.truncated) == (True, True, False)
    cancelled = judge(joined(status=4, executed=2, task=source()))
    assert (cancelled.valid, cancelled.outcome.cut_by_takeover, cancelled.outcome.truncated) == (True, False, False)


def test_the_operator_overrules() -> None:
    config = RewardConfig(human_success_weight=3.0)
    judged = judge(joined(task=source(truncated=True))).marked(success=True, config=config)
    assert (judged.outcome.terminated, judged.outcome.truncated, judged.outcome.success) == (True, False, True)
    assert judged.outcome.reward_terms[-1] == RewardTerm("human_success", 1.0, 3.0)
    assert judged.outcome.reward == 5.0  # 2 of the task, 3 for the mark


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_join_waits_for_all_in_any_order(order: tuple[int, ...]) -> None:
    join = chunk_join.ChunkJoin(("task", "human"))
    arrivals = [
        lambda: join.add_chunk(5, ChunkId("run", 0, 0, 0), ACTIONS, 4, now=0.0),
        lambda: join.add_execution(execution(4, stamp=5, end=9), now=0.0),
        lambda: join.add_source(5, source("task"), now=0.0),
        lambda: join.add_source(5, source("human"), now=0.0),
    ]
    for index in order:
        assert join.pop_complete() == []
        arrivals[index]()
    (entry,) = join.pop_complete()
    assert set(entry.sources) == {"task", "human"}
    assert join.in_flight() == []


def test_a_join_says_who_is_missing_and_forgets_the_oldest() -> None:
    join = chunk_join.ChunkJoin(("task", "human"))
    join.add_chunk(5, ChunkId("run", 0, 0, 0), ACTIONS, 4, now=1.0)
    (entry,) = join.in_flight()
    assert entry.missing == ("robot",)
    join.add_execution(execution(4, stamp=5, end=9), now=2.0)
    join.add_source(5, source("task"), now=2.0)
    (entry,) = join.in_flight()
    assert entry.missing == ("human",)
    assert entry.waiting_since == 1.0
    for stamp in range(10, 10 + 2 * chunk_join.MAX_JOINING):  # of segments that became no chunk
        join.add_source(stamp, source("task"), now=3.0)
    assert join.in_flight() == [entry]  # the policy waits for this one
    for stamp in range(200, 200 + chunk_join.MAX_JOINING):
        join.add_chunk(stamp, ChunkId("run", stamp, 0, stamp), ACTIONS, 4, now=4.0)
    assert entry not in join.in_flight()
    assert len(join.in_flight()) == 64


# The tests below check how transitions are delivered.


def test_delivery_repeats_with_growing_delays() -> None:
    delivery: Delivery[str] = Delivery(first_delay=1.0, max_delay=4.0)
    delivery.add(7, "seven")
    times = [now / 4 for now in range(80) if delivery.pop_due(now / 4)]
    assert times == [0.0, 1.0, 3.0, 7.0, 11.0, 15.0, 19.0]  # 1, 2, 4, then 4 s
    assert delivery.silent_for(20.0) == 20.0
    assert delivery.settle(7) == "seven"
    assert delivery.settle(7) is None
    assert delivery.silent_for(20.0) == 0.0


def test_reward_nodes_delivery_has_eight_under_way_and_repeats_them_after_ten_seconds_at_last() -> None:
    delivery: Delivery[int] = Delivery()
    for number in range(64):
        assert not delivery.full
        delivery.add(number, number)
    assert delivery.full
    times = [float(now) for now in range(40) if delivery.pop_due(float(now)) == list(range(8))]
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0]
    delivery.remove(list(range(31)))
    assert not delivery.eased
    delivery.settle(31)
    assert delivery.eased  # Half of the capacity is free.


def test_delivery_keeps_a_window_and_order() -> None:
    delivery: Delivery[int] = Delivery(window=2, capacity=4)
    for number in range(5):
        delivery.add(number, number)
        delivery.add(number, -1)  # a duplicate is ignored
    assert delivery.pop_due(0.0) == [0, 1]
    delivery.settle(0)
    assert delivery.pop_due(0.0) == [2]
    assert delivery.full
    assert delivery.remove([1, 9]) == [1]
    assert delivery.payloads() == [2, 3, 4]
    assert not delivery.full
    assert not delivery.eased
    delivery.settle(2)
    assert delivery.eased


def test_a_postponed_delivery_is_not_silence() -> None:
    delivery: Delivery[int] = Delivery(first_delay=1.0)
    delivery.add(0, 0)
    delivery.pop_due(0.0)
    delivery.postpone(0)
    delivery.postpone(1)
    assert delivery.silent_for(9.0) == 0.0
    assert delivery.pop_due(0.5) == []
    assert delivery.pop_due(1.0) == [0]


# The tests below check the life of episodes.


def make_episodes(next_episode: int = 0) -> Episodes:
    return Episodes(next_episode=next_episode, seed=lambda episode: 100 + episode)


def test_an_episode_tells_its_changes() -> None:
    episodes = make_episodes(3)
    (reset,) = episodes.begin("go")
    assert (reset.event, reset.episode, reset.seed, reset.message) == (Event.RESET, 3, 103, "go")
    (started,) = episodes.start("ready")
    episodes.add_chunk(0.5, num_steps=3)
    episodes.add_chunk(0.25, num_steps=5)
    assert episodes.num_steps == 8
    (ended,) = episodes.end(Ending.SUCCESS, "solved")
    assert (started.event, ended.event, ended.ending) == (Event.STARTED, Event.ENDED, Ending.SUCCESS)
    assert (ended.total_reward, ended.num_chunks) == (0.75, 2)
    assert episodes.end(Ending.SUCCESS, "again") == []
    assert episodes.begin("next")[0].episode == 4
    assert (episodes.num_chunks, episodes.num_steps) == (0, 0)


def test_episodes_go_in_order() -> None:
    episodes = make_episodes()
    with pytest.raises(ValueError, match="only after a reset; there is no episode"):
        episodes.start("too early")
    episodes.begin("go")
    with pytest.raises(ValueError, match="must end before the next begins"):
        episodes.begin("twice")


def test_pauses_have_reasons_and_are_told_while_an_episode_runs() -> None:
    episodes = make_episodes()
    episodes.begin("go")
    assert episodes.hold("operator", "lunch") == []
    assert [change.event for change in episodes.start("ready")] == [Event.STARTED, Event.PAUSED]
    assert episodes.hold("delivery", "full") == []
    assert episodes.release("operator", "back") == []
    assert [change.event for change in episodes.release("delivery", "eased")] == [Event.RESUMED]
    assert episodes.release("delivery", "eased") == []
    assert [change.event for change in episodes.hold("operator", "tea")] == [Event.PAUSED]
