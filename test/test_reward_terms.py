"""Tests the terms of a chunk's reward: factors, penalties, marks and feedback."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.config import EnvConfig, PPOConfig, RewardConfig, TrainConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, RewardTerm, SampledChunk, total_reward
from chunk_ppo_ros.rewards import chunk_join, human, referee, term_names
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.feedback import Credit, credit_feedback
from chunk_ppo_ros.rewards.penalties import jerk, penalties
from chunk_ppo_ros.rewards.terms import check_settings, chunk_terms, mean_shares, weigh, with_term
from support.executions import execution

# The tests below check which settings are accepted.


def test_factors_are_read_from_their_entries() -> None:
    assert RewardConfig(term_weights=("progress=2", "grasp = -0.5")).factors == {"progress": 2.0, "grasp": -0.5}


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        (("progress",), "entries name=factor .* got 'progress'"),
        (("progress=two",), "got 'progress=two'"),
        (("=2",), "got '=2'"),
        (("progress=inf",), "got 'progress=inf'"),
        (("a=1", "a=2"), "must name a term once"),
    ],
)
def test_entries_that_say_nothing_clear_are_refused(entries: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RewardConfig(term_weights=entries)


@pytest.mark.parametrize("name", ["execution_terms", "scene_terms"])
def test_weights_of_other_terms_are_read_alike(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"reward\.{name} must be entries name=factor .* got 'grip'; write .* grip=2\.0"
    ):
        RewardConfig(**{name: ("grip",)})
    assert RewardConfig(execution_terms=("grip=0.5",)).execution_weights == {"grip": 0.5}
    assert RewardConfig(scene_terms=("height=-1",)).scene_weights == {"height": -1.0}


def test_terms_of_ours_take_no_factor_since_they_have_a_setting() -> None:
    for name in term_names.OWN:
        with pytest.raises(RewardError, match=f"got '{name}'; it has a setting of its own"):
            check_settings(RewardConfig(term_weights=(f"{name}=1",)))
    check_settings(RewardConfig(term_weights=("progress=1",)))


def test_a_real_robot_has_no_scene_to_reward() -> None:
    with pytest.raises(ValueError, match=r"scene_terms must be empty with env\.simulator none, got height=1"):
        TrainConfig(env=EnvConfig(simulator="none"), reward=RewardConfig(scene_terms=("height=1",)))


def test_sources_must_differ() -> None:
    with pytest.raises(ValueError, match=r"reward\.sources must differ, got task, task"):
        RewardConfig(sources=("task", "task"))


def test_effort_needs_a_simulator_with_forces() -> None:
    with pytest.raises(ValueError, match="effort_penalty must be 0 with env.simulator kinematic, got 0.1"):
        TrainConfig(env=EnvConfig(simulator="kinematic"), reward=RewardConfig(effort_penalty=0.1))


# The tests below check the factors on the weights of terms.


def test_factors_multiply_the_sources_own_weights() -> None:
    terms = (RewardTerm("progress", 0.5, 3.0), RewardTerm("success", 1.0))
    weighed = weigh(terms, {"progress": 2.0})
    assert weighed == (RewardTerm("progress", 0.5, 6.0), RewardTerm("success", 1.0))
    assert total_reward(weighed) == 4.0  # 6 * 0.5 + 1


def test_a_factor_without_its_term_is_refused() -> None:
    with pytest.raises(RewardError, match="got 'progres' where there are progress, success; correct the name"):
        weigh((RewardTerm("progress", 1.0), RewardTerm("success", 0.0)), {"progres": 2.0})


# The tests below check the penalties on what the robot executed.


def test_jerk_of_a_cubic_is_its_constant_third_difference() -> None:
    # The motion a(t) = t^3 has the third difference 6 for every t. Six steps have three of them, which is 3 * 6^2 = 108
    # for each joint. Two of the twelve joints move so, and the mean over joints is 108 * 2 / 12 = 18.
    targets = np.zeros((6, 14))
    targets[:, [0, 12]] = np.arange(6.0)[:, None] ** 3
    assert jerk(targets) == pytest.approx(18.0)


def test_jerk_ignores_grippers_steady_acceleration_and_short_chunks() -> None:
    targets = np.zeros((6, 14))
    targets[:, [6, 13]] = np.arange(6.0)[:, None] ** 3  # the grippers
    targets[:, 0] = np.arange(6.0) ** 2
    assert jerk(targets) == 0.0
    assert jerk(np.arange(42.0).reshape(3, 14) ** 3) == 0.0  # three steps have no third difference


def test_penalties_are_terms_with_negative_weights() -> None:
    # One joint moves by a = 0, 0, 0, 1. This has one third difference of 1, so the jerk is 1 / 12.
    targets = np.zeros((4, 14))
    targets[3, 0] = 1.0
    config = RewardConfig(clamped_penalty=0.01, jerk_penalty=1.2, effort_penalty=0.5)
    terms = penalties(execution(4, clamped=3, effort=0.25), targets, config)
    assert [(term.name, term.weight) for term in terms] == [("clamped", -0.01), ("jerk", -1.2), ("effort", -0.5)]
    assert total_reward(terms) == pytest.approx(-0.03 - 0.1 - 0.125)


def test_penalties_of_zero_make_no_terms_and_need_no_effort() -> None:
    assert penalties(execution(4, clamped=4), np.ones((4, 14)), RewardConfig()) == ()


def test_unknown_effort_is_never_zero() -> None:
    with pytest.raises(RewardError, match="efforts of both arms with reward.effort_penalty 0.5, got none"):
        penalties(execution(4), np.ones((4, 14)), RewardConfig(effort_penalty=0.5))


@pytest.mark.parametrize("name", ["clamped", "feedback", "human_success", "novelty"])
def test_a_source_may_not_take_the_name_of_one_of_our_terms(name: str) -> None:
    with pytest.raises(RewardError, match=f"must not name its term as ours .* got '{name}'"):
        chunk_terms([[RewardTerm(name, 1.0)]], execution(4), np.ones((4, 14)), RewardConfig(clamped_penalty=0.1))


# The tests below check how the referee adds up the terms of a chunk.

OBSERVATION = ModelObservation(
    np.zeros((1, 2, 2, 3), np.uint8),
    np.ones(1, bool),
    np.zeros(1, np.int32),
    np.ones(1, bool),
    np.zeros(14, np.float32),
)
RAMP = np.tile(np.arange(4.0)[:, None] ** 3, 14)


def joined(effort: float | None = None, feedback: float | None = None, num_steps: int = 4) -> chunk_join.Joined:
    executed = execution(num_steps, clamped=2, end=9, effort=effort)
    reports = {
        "task": chunk_join.SourceReport("task", (RewardTerm("progress", 1.0, 3.0),)),
        "scale": chunk_join.SourceReport("scale", (RewardTerm("weight_kg", 0.5),), success=True, terminated=True),
    }
    return chunk_join.Joined(chunk_join.SentChunk(ChunkId("run", 0, 0, 0), RAMP, 4), executed, reports, feedback)


def test_all_sources_penalties_and_feedback_add_up() -> None:
    config = RewardConfig(
        sources=("task", "scale"),
        term_weights=("weight_kg=4",),
        clamped_penalty=0.1,
        jerk_penalty=0.01,
        effort_penalty=0.2,
        feedback_weight=0.5,
    )
    outcome = referee.judge(joined(effort=10.0, feedback=-1.0), config=config, time_limit_reached=False).outcome
    # The sum is 3 * 1 + 4 * 0.5 - 0.1 * 2 clamped - 0.01 * 36 (every joint's third difference is 6) - 0.2 * 10 + 0.5 *
    # -1.
    assert outcome.reward == pytest.approx(3 + 2 - 0.2 - 0.36 - 2 - 0.5)
    names = ["progress", "weight_kg", "clamped", "jerk", "effort", "feedback"]
    assert [term.name for term in outcome.reward_terms] == names
    assert outcome.terminated
    assert outcome.success


def test_only_executed_steps_are_penalized() -> None:
    config = RewardConfig(sources=("task", "scale"), jerk_penalty=1.0)
    judged = referee.judge(joined(num_steps=3), config=config, time_limit_reached=False)
    assert judged.outcome.reward_terms[-1] == RewardTerm("jerk", 0.0, -1.0)


def test_a_chunk_whose_effort_is_unknown_is_a_fault_that_says_so() -> None:
    config = RewardConfig(sources=("task",), effort_penalty=0.2)
    judged = referee.judge(joined(), config=config, time_limit_reached=False)
    assert (judged.valid, judged.robot_fault) == (False, True)
    assert "have the drivers publish them" in judged.reason


# The tests below check the terms that an operator's marks and feedback make.

OUTCOME = ChunkOutcome(3.0, (RewardTerm("progress", 1.0, 3.0),), execution(4), terminated=False, truncated=True)


def test_a_term_takes_the_place_of_one_with_its_name() -> None:
    once = with_term(OUTCOME, RewardTerm("bonus", 2.0, 0.5))
    assert (once.reward, len(once.reward_terms)) == (4.0, 2)
    again = with_term(once, RewardTerm("bonus", 4.0, 0.5))
    assert (again.reward, len(again.reward_terms)) == (5.0, 2)


@pytest.mark.parametrize(("success", "reward"), [(True, 5.0), (False, 3.0)])
def test_a_mark_ends_the_episode_and_is_a_term(success: bool, reward: float) -> None:
    config = RewardConfig(human_success_weight=2.0)
    outcome = human.marked(OUTCOME, success=success, config=config)
    assert (outcome.terminated, outcome.truncated, outcome.success, outcome.reward) == (True, False, success, reward)
    assert outcome.reward_terms[-1] == RewardTerm("human_success", float(success), 2.0)
    assert human.marked(outcome, success=success, config=config) == outcome  # said twice it counts once


def test_feedback_adds_up() -> None:
    config = RewardConfig(feedback_weight=0.5)
    outcome = human.with_feedback(human.with_feedback(OUTCOME, 2.0, config), -1.0, config)
    assert outcome.reward_terms[-1] == RewardTerm("feedback", 1.0, 0.5)
    assert outcome.reward == 3.5


def make_chunk() -> SampledChunk:
    return SampledChunk(
        observation=OBSERVATION,
        action_tokens=np.zeros(1, np.int32),
        token_mask=np.ones(1, bool),
        token_log_probs=np.zeros(1, np.float32),
        value=0.0,
        actions=RAMP.astype(np.float32),
        policy_version=0,
        temperature=1.0,
        num_steps_asked=4,
        entropy=0.0,
    )


FIRST, SECOND = ChunkId("run", 0, 0, 0), ChunkId("run", 1, 0, 1)


class Story:
    """The join and the assembler of an episode, as reward_node drives them."""

    config = RewardConfig(sources=(), feedback_weight=2.0)

    def __init__(self) -> None:
        self.join = chunk_join.ChunkJoin(())
        self.assembler = TransitionAssembler(PPOConfig())
        self.last: ChunkId | None = None

    def begin(self, id: ChunkId) -> None:
        self.assembler.add_chunk(id, make_chunk())
        self.join.add_chunk(id.sequence_number, id, RAMP, 4, now=0.0)

    def end(self, id: ChunkId, *, terminated: bool = False) -> ChunkOutcome:
        self.join.add_execution(execution(4, stamp=id.sequence_number, end=9), now=0.0)
        (entry,) = self.join.pop_complete()
        outcome = referee.judge(entry, config=self.config, time_limit_reached=False).outcome
        self.assembler.add_outcome(id, dataclasses.replace(outcome, terminated=terminated))
        self.last = id
        return outcome

    def say(self, value: float) -> Credit:
        return credit_feedback(value, join=self.join, assembler=self.assembler, last=self.last, config=self.config)


def test_feedback_counts_for_the_chunk_that_runs_else_for_the_last_one() -> None:
    story = Story()
    assert story.say(1.0) == Credit(None)  # before the first chunk
    story.begin(FIRST)
    assert story.say(1.0) == Credit(FIRST)
    assert story.say(0.5) == Credit(FIRST)
    outcome = story.end(FIRST)
    assert outcome.reward_terms == (RewardTerm("feedback", 1.5, 2.0),)
    late = story.say(3.0)  # after it
    assert late.amended is not None
    assert (late.id, late.reward_change, late.amended.reward) == (FIRST, 6.0, 9.0)
    story.begin(SECOND)
    assert story.say(-1.0) == Credit(SECOND)
    (first,) = story.assembler.pop_complete()
    assert first.outcome.reward_terms == (RewardTerm("feedback", 4.5, 2.0),)
    assert first.outcome.reward == 9.0


def test_feedback_passes_over_reports_whose_chunk_is_not_there_yet() -> None:
    story = Story()
    story.begin(FIRST)
    story.join.add_execution(execution(4, stamp=9, end=9), now=0.0)  # of a segment that will be a chunk
    assert story.say(1.0) == Credit(FIRST)


def test_feedback_after_the_transition_is_sent_is_told_to_be_late() -> None:
    story = Story()
    story.begin(FIRST)
    story.end(FIRST, terminated=True)
    late = story.say(1.0)
    assert (late.id, late.reward_change) == (FIRST, 2.0)
    assert len(story.assembler.pop_complete()) == 1
    assert story.say(1.0) == Credit(None)


def test_the_mean_shares_of_terms_add_up_to_the_mean_reward() -> None:
    other = with_term(OUTCOME, RewardTerm("feedback", -1.0, 0.5))
    # Progress gives 3 * 1 in both chunks, and feedback -0.5 in one of the two.
    assert mean_shares([OUTCOME, other]) == {"reward/term/progress": 3.0, "reward/term/feedback": -0.25}
    assert sum(mean_shares([OUTCOME, other]).values()) == (OUTCOME.reward + other.reward) / 2
    assert mean_shares([]) == {}
