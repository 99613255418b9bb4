"""Tests which prompt an episode has: by weights, again after a discarded episode, and the same after a restart."""

from __future__ import annotations

import collections
import fractions
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.core.prompts.prompt_schedule import BALANCED, RANDOM, PromptSchedule, take_turns
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt

CUP, CUBE, DOOR = WeightedPrompt("cup", 2.0), WeightedPrompt("cube"), WeightedPrompt("door", 0.5)

whole_weights = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def schedule(*prompts: WeightedPrompt, sampling: str = BALANCED, seed: int = 0) -> PromptSchedule:
    return PromptSchedule(prompts, sampling=sampling, run_seed=seed)


def test_the_turn_goes_to_the_one_that_is_the_farthest_behind() -> None:
    """The weights 2, 1, 1 are shares of 1/2, 1/4 and 1/4 of a turn.

    Before turn 1 they are behind by 1/2, 1/4, 1/4, before turn 2 by 0, 1/2, 1/2, before turn 3 by 1/2, -1/4, 3/4, and
    before turn 4 by 1, 0, 0. After 4 turns all have their shares.
    """
    assert list(itertools.islice(take_turns([2, 1, 1]), 8)) == [0, 1, 2, 0] * 2


def test_equal_weights_take_turns_in_the_order_of_the_setting() -> None:
    turns = schedule(WeightedPrompt("a", 0.1), WeightedPrompt("b", 0.1), WeightedPrompt("c", 0.1))
    assert [turns.prompt(episode=n, num_counted=n) for n in range(6)] == ["a", "b", "c"] * 2


@given(whole_weights, st.integers(1, 60))
def test_turns_keep_to_the_weights(weights: list[int], num_turns: int) -> None:
    """Each is ahead of its share by less than a turn at all times, and has it exactly after each sum of the weights."""
    counts = collections.Counter(itertools.islice(take_turns(weights), num_turns))
    for number, weight in enumerate(weights):
        share = fractions.Fraction(weight * num_turns, sum(weights))
        assert counts[number] - share < 1
        if num_turns % sum(weights) == 0:
            assert counts[number] == share


@given(whole_weights, st.lists(st.booleans(), max_size=40), st.integers(0, 2**31))
def test_a_discarded_episode_is_followed_by_one_with_its_prompt(
    weights: list[int], discarded: list[bool], seed: int
) -> None:
    """The episodes that count have the same prompts as if none had been discarded."""
    prompts = [WeightedPrompt(str(number), weight) for number, weight in enumerate(weights)]
    counted: list[str] = []
    for episode, is_discarded in enumerate(discarded):
        # A schedule of its own for each episode is what a node has that is started anew.
        prompt = schedule(*prompts, seed=seed).prompt(episode=episode, num_counted=len(counted))
        if not is_discarded:
            counted.append(prompt)
    undisturbed = schedule(*prompts)
    assert counted == [undisturbed.prompt(episode=n, num_counted=n) for n in range(len(counted))]


def test_prompts_may_be_asked_for_in_any_order() -> None:
    forward, backward = schedule(CUP, CUBE, DOOR), schedule(CUP, CUBE, DOOR)
    expected = [forward.prompt(episode=n, num_counted=n) for n in range(20)]
    assert [backward.prompt(episode=n, num_counted=n) for n in reversed(range(20))] == expected[::-1]


def test_random_prompts_follow_from_seed_and_episode_alone() -> None:
    drawn = [schedule(CUP, CUBE, sampling=RANDOM, seed=7).prompt(episode=n, num_counted=0) for n in range(50)]
    again = schedule(CUP, CUBE, sampling=RANDOM, seed=7)
    assert [again.prompt(episode=n, num_counted=n) for n in range(50)] == drawn
    other = schedule(CUP, CUBE, sampling=RANDOM, seed=8)
    assert [other.prompt(episode=n, num_counted=0) for n in range(50)] != drawn


def test_random_prompts_come_by_weight() -> None:
    """Of 3500 draws with the shares 4/7, 2/7 and 1/7 a count is binomial: 5 standard deviations are at most 147."""
    turns = schedule(CUP, CUBE, DOOR, sampling=RANDOM, seed=3)
    counts = collections.Counter(turns.prompt(episode=n, num_counted=n) for n in range(3500))
    assert counts["cup"] == pytest.approx(2000, abs=147)
    assert counts["cube"] == pytest.approx(1000, abs=134)
    assert counts["door"] == pytest.approx(500, abs=104)


@pytest.mark.parametrize("sampling", [BALANCED, RANDOM])
def test_a_single_prompt_comes_always(sampling: str) -> None:
    turns = schedule(CUP, sampling=sampling)
    assert {turns.prompt(episode=n, num_counted=n) for n in range(20)} == {"cup"}
