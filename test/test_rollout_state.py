"""Tests when the policy samples, bootstraps and holds, by stories of events and the step that follows each."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk
from chunk_ppo_ros.core.types import ChunkId
from support.rollout_stories import (
    BOOTSTRAPS,
    FULL,
    HOLDS,
    READY,
    RUNNING,
    SAMPLES,
    TAKEN_OVER,
    TWO_OF_THREE,
    ack,
    active,
    after,
    announced,
    began,
    bootstrapped,
    chunk,
    drove,
    encoded,
    human,
    loaded,
    outcome,
    paused,
    prompt_of,
    reset,
    resumed,
    sampled,
    started,
)


def test_a_policy_that_acts_in_one_episode_acts_in_that_one() -> None:
    step = after(active, announced(only_episode=4), loaded(), started(4))
    assert isinstance(step, SampleChunk) and step.chunk.episode == 4


@pytest.mark.parametrize(("events", "reason"), HOLDS.values(), ids=HOLDS.keys())
def test_the_policy_holds_and_says_why(events, reason):
    step = after(*events)
    assert isinstance(step, Hold)
    assert reason in step.reason


@pytest.mark.parametrize(("events", "expected"), SAMPLES.values(), ids=SAMPLES.keys())
def test_the_next_chunk_has_the_expected_numbers(events, expected):
    step = after(*events)
    assert isinstance(step, SampleChunk)
    assert step.chunk == expected


@pytest.mark.parametrize(("events", "expected"), BOOTSTRAPS.values(), ids=BOOTSTRAPS.keys())
def test_the_value_after_a_cut_chunk_is_asked_for(events, expected):
    step = after(*events)
    assert isinstance(step, Bootstrap)
    assert (step.chunk, step.policy_version) == (expected, 0)


def test_terminated_chunks_are_not_bootstrapped_even_when_the_rollout_is_full():
    step = after(*TWO_OF_THREE, sampled(2), outcome(2, "terminated"))
    assert isinstance(step, Hold)


def test_observations_are_newer_than_the_end_of_the_last_chunk_and_the_start_of_the_episode():
    assert after(*READY, started(0, stamp=50)).newer_than == 50
    assert after(*READY, started(0, stamp=50), sampled(0), outcome(0, end=90)).newer_than == 90
    assert after(*READY, started(0, stamp=50), paused(0), resumed(0, stamp=70)).newer_than == 70
    assert after(*READY, started(0), sampled(0), outcome(0, "truncated", end=90)).newer_than == 90


def test_a_step_is_no_longer_the_same_where_the_world_went_on():
    state = RolloutState()
    for event in RUNNING:
        event(state)
    step = state.next_step()
    assert state.next_step() == step
    paused(0)(state)
    assert state.next_step() != step
    resumed(0, stamp=10)(state)
    assert state.next_step() != step  # what was seen before the pause is not what it is now


def test_acknowledgments_of_another_version_do_not_fill_the_rollout():
    step = after(*RUNNING, ack(0, 3, version=1))
    assert isinstance(step, SampleChunk)


def test_a_new_run_starts_its_numbers_again():
    step = after(*TWO_OF_THREE, announced(run_id="other"), loaded(0))
    assert step.chunk == ChunkId("other", 0, 0, 2)


def test_the_observation_after_a_change_of_the_driver_is_newer():
    state = RolloutState()
    for event in (*RUNNING, sampled(0), human(True, stamp=50), outcome(0, "cut_by_takeover", end=40)):
        event(state)
    assert state.next_step().newer_than == 50
    assert after(*TAKEN_OVER, human(False, stamp=90)).newer_than == 90


def test_what_a_human_drives_while_the_rollout_is_full_is_encoded_so_that_its_end_is_known():
    events = (*FULL, bootstrapped(2), human(True), ack(0, 1), ack(1, 2), ack(2, 3), began(60), drove(60))
    step = after(*events)
    assert isinstance(step, EncodeSegment)
    assert step.segment.stamp == 60
    assert isinstance(after(*events, encoded(3, 60, 4), outcome(3, "terminated"), ack(3, 3)), Hold)


def test_the_steps_of_a_human_do_not_bring_the_time_limit_nearer():
    state = RolloutState()
    for event in (*TAKEN_OVER, began(60), drove(60), encoded(1, 60, 2), outcome(1)):
        event(state)
    assert state.num_steps == 5  # those of the policy's chunk


def test_executed_steps_are_counted_within_an_episode():
    state = RolloutState()
    for event in (*RUNNING, sampled(0), outcome(0), sampled(1), outcome(1, "invalid")):
        event(state)
    assert state.num_steps == 5
    outcome(0)(state)  # known already
    assert state.num_steps == 5
    reset(1)(state)
    assert state.num_steps == 0


def test_the_awaited_chunk_is_the_one_being_executed():
    state = RolloutState()
    for event in (*RUNNING, sampled(0)):
        event(state)
    assert state.awaited_chunk == chunk(0)
    outcome(0)(state)
    assert state.awaited_chunk is None


def test_after_the_clock_was_set_back_an_observation_of_now_suffices() -> None:
    state = RolloutState()
    for event in (announced(), loaded(), active, started(0, stamp=9_000_000_000)):
        event(state)
    state.note_clock(8_950_000_000)
    assert state.next_step() == SampleChunk(chunk(0), 0, 9_000_000_000, prompt_of(0))
    state.note_clock(6_000_000_000)
    assert state.next_step() == SampleChunk(chunk(0), 0, 6_000_000_000, prompt_of(0))
