"""Tests which prompt an episode has in training, and where one or two checkpoints act without a trainer."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.config.deploy import DeployConfig
from chunk_ppo_ros.core.prompts.prompt_schedule import BALANCED, RANDOM, PromptSchedule
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import EpisodeCounts, PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.episode_prompts import EpisodePrompts

PROMPTS = (WeightedPrompt("cup"), WeightedPrompt("door"))


def prompts(*checkpoints: str, has_starts: bool = False, sampling: str = BALANCED) -> EpisodePrompts:
    schedule = PromptSchedule(PROMPTS, sampling=sampling, run_seed=5)
    return EpisodePrompts(schedule, DeployConfig(checkpoints=checkpoints), has_starts=has_starts)


def counts(success: int, *, intervened: int = 0, discarded: int = 0) -> EpisodeCounts:
    return EpisodeCounts([PromptCounts("cup", success, num_intervened=intervened, num_discarded=discarded)])


@pytest.mark.parametrize("checkpoints", [(), ("a",)])
def test_a_prompt_comes_again_after_a_discarded_episode_but_not_after_a_takeover(checkpoints: tuple[str, ...]) -> None:
    of = prompts(*checkpoints)
    assert [of.prompt_of(n, counts(n)) for n in range(3)] == ["cup", "door", "cup"]
    assert of.prompt_of(2, counts(1, discarded=1)) == "door"
    assert of.prompt_of(2, counts(1, intervened=1)) == "cup"


def test_the_two_episodes_of_a_simulated_start_have_one_prompt_whatever_became_of_those_before() -> None:
    of = prompts("a", "b", has_starts=True)
    expected = ["cup", "cup", "door", "door", "cup", "cup"]
    assert [of.prompt_of(n, counts(n)) for n in range(6)] == expected
    assert [of.prompt_of(n, counts(0, discarded=n)) for n in range(6)] == expected


def test_a_block_on_a_robot_has_one_prompt_until_four_episodes_count() -> None:
    of = prompts("a", "b")
    assert [of.prompt_of(n, counts(n)) for n in range(12)] == ["cup"] * 4 + ["door"] * 4 + ["cup"] * 4
    assert of.prompt_of(5, counts(3, intervened=1, discarded=1)) == "cup"


@pytest.mark.parametrize("has_starts", [True, False])
def test_random_prompts_are_the_same_within_a_block(has_starts: bool) -> None:
    size = 2 if has_starts else 4
    of = prompts("a", "b", has_starts=has_starts, sampling=RANDOM)
    drawn = [of.prompt_of(n, counts(n)) for n in range(10 * size)]
    assert drawn == [prompt for prompt in drawn[::size] for _ in range(size)]
    assert set(drawn) == {"cup", "door"}
