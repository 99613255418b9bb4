"""Tests episodes in which a human takes over: what the trainer gets of them, and what it makes of that."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent.intervention_chunk import encode_human_chunk
from chunk_ppo_ros.agent.next_step.human_segments import MAX_WAITING, REMEMBERED_READINGS, HumanSegments
from chunk_ppo_ros.config import PPOConfig, RewardConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import ChunkId, RewardTerm, SampledChunk, Transition
from chunk_ppo_ros.model.tokenization.fast_tokenizer import rounding_bound
from chunk_ppo_ros.rewards import chunk_join, referee
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.episodes import Ending, Episodes
from chunk_ppo_ros.rl.gae import gae
from chunk_ppo_ros.rl.rollout import stack_transitions
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors
from support.executions import execution
from support.small_policy import MODEL, make_tokenizer
from support.toy_policy import observation, transition

HORIZON = MODEL.action_horizon  # 4


@dataclasses.dataclass(frozen=True)
class Played:
    """One chunk of an episode, and what must come of it.

    The chunk has its number in the episode, its value, who drove it, how it ended, and the value sent after it. Its
    next value must be `next_value`. `ends` says whether the trace must end at it, and `counts` whether it must be in
    the policy loss.
    """

    chunk: int
    value: float
    next_value: float | None
    ends: bool
    counts: bool
    human: bool = False
    bootstrap: float | None = None
    cut: bool = False
    terminated: bool = False
    num_steps: int = 2


TABLE = {
    # The policy is cut in its second chunk, and the value at the takeover is sent. The human drives two chunks and
    # hands back, and the policy ends the episode. The numbers leave gaps where the driver changes.
    "cut": [
        Played(0, 1.0, 2.0, ends=False, counts=True),
        Played(1, 2.0, 6.0, ends=True, counts=False, cut=True, bootstrap=6.0, num_steps=1),
        Played(3, 6.0, 7.0, ends=True, counts=False, human=True),
        Played(4, 7.0, 3.0, ends=True, counts=False, human=True),
        Played(6, 3.0, 0.0, ends=True, counts=True, terminated=True),
    ],
    # Between two chunks nothing is cut, but the human's success is not what the policy's chunk led to.
    "between": [
        Played(0, 1.0, 4.0, ends=True, counts=True, bootstrap=4.0),
        Played(2, 4.5, 0.0, ends=True, counts=False, human=True, terminated=True),
    ],
    # A human who drove without a chunk, because the policy was loading, changed the scene all the same.
    "unseen": [
        Played(0, 1.0, 4.0, ends=True, counts=True, bootstrap=4.0),
        Played(3, 9.0, 0.0, ends=True, counts=True, terminated=True),
    ],
    # A chunk that was cut before its first step is no chunk. Its value is that of the state before it.
    "before its first step": [
        Played(0, 1.0, 2.0, ends=True, counts=True),
        Played(1, 2.0, None, ends=True, counts=False, cut=True, num_steps=0),
        Played(3, 6.0, 0.0, ends=True, counts=False, human=True, terminated=True),
    ],
}


def assemble(played: list[Played], *, human_reward: float = 0.0) -> list[Transition]:
    assembler = TransitionAssembler(PPOConfig())
    for number, one in enumerate(played):
        like = transition(number, chunk=one.chunk, value=one.value, human=one.human, terminated=one.terminated)
        outcome = dataclasses.replace(
            like.outcome,
            execution=execution(one.num_steps, status=Status.TAKEOVER if one.cut else Status.EXECUTED),
            reward=human_reward if one.human else 0.5,
        )
        id = ChunkId("run", number, 0, one.chunk)
        assembler.add_chunk(id, like.chunk)
        assembler.add_outcome(id, outcome)
        if one.bootstrap is not None:
            assembler.add_bootstrap(number, observation(), one.bootstrap)
    return assembler.pop_complete()


@pytest.mark.parametrize("name", TABLE)
def test_table_of_episodes_with_a_human(name: str) -> None:
    transitions = assemble(TABLE[name])
    expected = [one for one in TABLE[name] if one.next_value is not None]
    assert [each.next_value for each in transitions] == [one.next_value for one in expected]
    rollout = stack_transitions(transitions)
    np.testing.assert_array_equal(rollout.segment_end, [one.ends for one in expected])
    np.testing.assert_array_equal(rollout.policy_mask, [one.counts for one in expected])
    np.testing.assert_array_equal(rollout.human_mask, [one.human for one in expected])


@pytest.mark.parametrize("name", TABLE)
def test_what_the_human_earns_changes_no_advantage_of_the_policy(name: str) -> None:
    advantages = []
    for reward in (0.0, 100.0):
        rollout = stack_transitions(assemble(TABLE[name], human_reward=reward))
        fields = ("rewards", "discounts", "values", "next_values", "terminated", "segment_end")
        arrays = {field: jnp.asarray(getattr(rollout, field)) for field in fields}
        advantages.append(np.asarray(gae(**arrays, gae_lambda=0.95)[0])[~rollout.human_mask])
    np.testing.assert_array_equal(*advantages)


# The tests below check that what a human drove becomes tokens.


def drive(num_steps: int) -> np.ndarray:
    """Returns slow motion that the small policy's tokenizer, which is fitted on -1..1, can encode."""
    return np.tile(np.linspace(0.1, 0.2, num_steps, dtype=np.float32)[:, None], (1, aloha.ACTION_DIM))


def encode(commanded: np.ndarray, *, num_slots: int = MODEL.max_action_tokens) -> SampledChunk:
    model = dataclasses.replace(MODEL, max_action_tokens=num_slots)
    tokenizer = dataclasses.replace(make_tokenizer(), config=model)
    seen = dataclasses.replace(observation(), state=np.zeros(aloha.ACTION_DIM, np.float32))
    return encode_human_chunk(tokenizer, seen, commanded, value=0.5, policy_version=3)


def test_the_tokens_of_a_human_stand_for_what_he_did() -> None:
    tokenizer, chunk = make_tokenizer(), encode(drive(HORIZON))
    assert (chunk.human_driven, chunk.valid, chunk.num_steps_asked, chunk.policy_version) == (True, True, HORIZON, 3)
    np.testing.assert_array_equal(chunk.actions, drive(HORIZON))
    np.testing.assert_array_equal(chunk.token_log_probs, 0.0)
    decoded = tokenizer.decode_actions(chunk.action_tokens, chunk.observation.state)
    assert decoded.valid
    normalized = [
        tokenizer.normalize_actions(actions, chunk.observation.state) for actions in (decoded.actions, chunk.actions)
    ]
    bound = rounding_bound(scale=tokenizer.fast.scale, horizon=HORIZON)
    assert 0.0 < np.max(np.abs(normalized[0] - normalized[1])) <= bound + 1e-5


def test_a_chunk_that_the_human_did_not_end_is_held_and_not_imitated() -> None:
    chunk = encode(drive(2))
    assert (chunk.human_driven, chunk.valid, chunk.num_steps_asked) == (True, False, 2)
    assert not chunk.token_mask.any()
    np.testing.assert_array_equal(chunk.actions, [*drive(2), drive(2)[1], drive(2)[1]])


def test_a_chunk_without_enough_token_slots_is_not_imitated() -> None:
    assert encode(drive(HORIZON)).valid
    chunk = encode(drive(HORIZON), num_slots=4)
    assert not chunk.valid
    np.testing.assert_array_equal(chunk.actions, drive(HORIZON))


def test_a_chunk_that_cannot_be_encoded_for_another_reason_is_an_error() -> None:
    broken = drive(HORIZON)
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        encode(broken)


@pytest.mark.parametrize("shape", [(0, 14), (HORIZON + 1, 14), (2, 13)])
def test_what_is_no_chunk_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="what a human drove must have the shape"):
        encode(np.zeros(shape, np.float32))


# The tests below check which observation a segment gets.


def readings(stamp: int, newest: int) -> SyncedSensors:
    return SyncedSensors((), np.ones(0, bool), np.zeros(14, np.float32), stamp, newest)


def test_a_segment_has_the_newest_observation_before_it() -> None:
    segments = HumanSegments()
    for stamp, newest in ((1, 2), (3, 4), (5, 11)):
        segments.add_readings(readings(stamp, newest))
    segments.begin(10)
    segments.add_readings(readings(12, 13))
    assert segments.has_open
    assert segments.next is None
    assert segments.end(10, drive(2)) == ""
    assert not segments.has_open
    assert segments.next is not None
    assert segments.next.readings.stamp == 3  # of the set before it one reading was already newer than the start
    segments.begin(10)  # told again
    assert not segments.has_open


def test_a_segment_whose_beginning_was_not_told_is_taken_all_the_same() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(1, 2))
    segments.begin(20)  # the latched message of segment 10 was overwritten by this one
    assert segments.end(10, drive(1)) == ""
    assert segments.end(20, drive(2)) == ""
    assert segments.next is not None
    assert segments.next.stamp == 10


def test_an_observation_from_long_before_does_not_count() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(1, 2))
    assert "no observation" in segments.end(150_000_002, drive(1))


def test_an_observation_of_150_ms_before_and_one_at_the_start_count() -> None:
    for stamp, newest in ((2, 3), (150_000_002, 150_000_002)):
        segments = HumanSegments()
        segments.add_readings(readings(stamp, newest))
        assert segments.end(150_000_002, drive(1)) == ""
        assert segments.next is not None
        segments.drop_oldest()
        assert segments.next is None


def test_of_the_readings_the_newest_are_remembered() -> None:
    segments = HumanSegments()
    for stamp in range(100):
        segments.add_readings(readings(stamp, stamp))
    assert "no observation" in segments.end(99 - REMEMBERED_READINGS, drive(1))
    assert segments.end(99 - REMEMBERED_READINGS + 1, drive(1)) == ""


def test_a_segment_without_an_observation_says_so() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(11, 12))
    assert "no observation" in segments.end(10, drive(2))
    assert segments.next is None


def test_a_segment_that_was_over_before_anybody_listened_is_not_waited_for() -> None:
    segments = HumanSegments()
    segments.begin(10)  # latched, told by a robot_node that runs for longer
    segments.add_readings(readings(500, 500))
    segments.begin(10)
    assert not segments.has_open
    segments.begin(600)
    assert segments.has_open
    assert segments.end(600, drive(2)) == ""


def test_a_segment_of_an_episode_that_is_over_is_nothing_even_if_its_observation_comes_late() -> None:
    segments = HumanSegments()
    segments.begin(10)
    segments.clear()
    segments.add_readings(readings(1, 2))
    assert segments.end(10, drive(2)) == ""
    assert segments.next is None


def test_a_segment_begins_although_the_clock_was_set_back_since_the_one_before() -> None:
    segments = HumanSegments()
    segments.begin(5_000_000_000)
    segments.clear()
    segments.note_clock(4_950_000_000)
    segments.add_readings(readings(1_000, 2_000))
    segments.begin(2_000)
    assert not segments.has_open
    segments.note_clock(1_000)
    segments.begin(2_000)
    assert segments.has_open and segments.end(2_000, drive(2)) == ""


def test_a_segment_without_a_step_that_counts_is_over_and_becomes_no_chunk() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(1, 2))
    segments.begin(10)
    assert segments.end(10, drive(0)) == ""
    assert not segments.has_open and segments.next is None


def test_segments_that_nobody_takes_are_dropped_and_that_is_said() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(0, 0))
    problems = [segments.end(number, drive(1)) for number in range(1, MAX_WAITING + 2)]
    assert problems[:-1] == [""] * MAX_WAITING
    assert "more than 8 segments wait" in problems[-1]
    assert segments.next is not None
    assert segments.next.stamp == 2


def test_segments_end_with_their_episode() -> None:
    segments = HumanSegments()
    segments.add_readings(readings(0, 0))
    segments.begin(1)
    segments.clear()
    assert segments.end(1, drive(1)) == ""
    assert segments.next is None


# The tests below check what the referee and the life of episodes make of a takeover.


@pytest.mark.parametrize(
    ("status", "human", "truncated", "intervened"),
    [
        (Status.EXECUTED, False, True, False),
        (Status.TAKEOVER, False, False, True),  # the human may go on beyond the limit
        (Status.EXECUTED, True, False, False),
        (Status.CANCELLED, True, False, False),
        (Status.FAULT, True, True, False),
    ],
)
def test_the_time_limit_waits_for_a_human(status: Status, human: bool, truncated: bool, intervened: bool) -> None:
    driven = execution(2, status=status, end=9, human_driven=human)
    sources = {"task": chunk_join.SourceReport("task", (RewardTerm("progress", 1.0),), truncated=True)}
    chunk = chunk_join.SentChunk(ChunkId("run", 0, 0, 0), np.zeros((4, 14)), 4)
    entry = chunk_join.Joined(chunk, driven, sources)
    judged = referee.judge(entry, config=RewardConfig(), time_limit_reached=True)
    assert judged.valid
    assert (judged.outcome.truncated, judged.outcome.cut_by_takeover) == (truncated, intervened)


def test_an_episode_remembers_a_takeover_until_the_next_begins() -> None:
    episodes = Episodes(next_episode=0, seed=lambda episode: episode)
    episodes.begin("")
    episodes.human_drives(True)  # brings the robot to the start: no intervention
    episodes.human_drives(False)
    episodes.start("")
    assert not episodes.intervened
    episodes.human_drives(True)
    episodes.human_drives(False)
    (ended,) = episodes.end(Ending.SUCCESS, "")
    assert ended.intervened
    episodes.begin("")
    episodes.human_drives(True)
    episodes.start("")
    assert episodes.intervened  # the human drives still
