"""Tests the setting episode.prompts: how it is read, what is refused of it, and which prompts a run then has."""

from __future__ import annotations

import dataclasses

import pytest

from chunk_ppo_ros.config import PRESETS, EpisodeConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.sim.tasks.reach import ReachTask
from chunk_ppo_ros.sim.tasks.registry import prompt_schedule, prompts_of


@pytest.mark.parametrize(
    ("entry", "prompt"),
    [
        ("pick up the cup", WeightedPrompt("pick up the cup")),
        ("2=pick up the cup", WeightedPrompt("pick up the cup", 2.0)),
        (" 0.5 = pick up the cup ", WeightedPrompt("pick up the cup", 0.5)),
        ("1e-1=go", WeightedPrompt("go", 0.1)),
        ("set x=3", WeightedPrompt("set x=3")),
        ("1=2=3", WeightedPrompt("2=3")),
    ],
)
def test_an_entry_is_a_text_with_or_without_a_weight(entry: str, prompt: WeightedPrompt) -> None:
    assert EpisodeConfig(prompts=(entry,)).weighted_prompts == (prompt,)


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (("",), "got '', which has no text"),
        (("2= ",), "got '2= ', which has no text"),
        (("0=go",), "weights that are finite numbers above 0, got 0 in '0=go'"),
        (("go", "-1=stay"), "weights that are finite numbers above 0, got -1 in '-1=stay'"),
        (("nan=go",), "weights that are finite numbers above 0, got nan in 'nan=go'"),
        (("inf=go",), "weights that are finite numbers above 0, got inf in 'inf=go'"),
        (("go", "2=go"), "must have each text once, got 'go' again in the entry '2=go'"),
        (("Pick_up the cup", "pick up  the cup"), "got 'Pick_up the cup' again in the entry 'pick up  the cup'"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused(entries: tuple[str, ...], error: str) -> None:
    with pytest.raises(ValueError, match="episode.prompts must ") as caught:
        EpisodeConfig(prompts=entries)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_prompt_and_a_list_of_prompts_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"run.prompt must be empty where episode.prompts are given \(go, 2=stay\)"):
        TrainConfig(episode=EpisodeConfig(prompts=("go", "2=stay")), run=RunConfig(prompt="go"))


def test_without_a_list_a_run_has_one_prompt() -> None:
    config = PRESETS["debug"]
    assert prompts_of(config) == (WeightedPrompt(ReachTask.prompt),)
    named = dataclasses.replace(config, run=dataclasses.replace(config.run, prompt="reach"))
    assert prompts_of(named) == (WeightedPrompt("reach"),)


def test_a_run_has_the_prompts_of_the_list() -> None:
    config = dataclasses.replace(PRESETS["debug"], episode=EpisodeConfig(prompts=("go", "2=stay")))
    assert prompts_of(config) == (WeightedPrompt("go"), WeightedPrompt("stay", 2.0))
    schedule = prompt_schedule(config)
    assert [schedule.prompt(episode=n, num_counted=n) for n in range(3)] == ["stay", "go", "stay"]
