"""Tests the settings of episodes, and what is refused of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chunk_ppo_ros.config import PRESETS, EnvConfig, EpisodeConfig, TrainConfig
from chunk_ppo_ros.config.episode import RESETS

ROBOT = dataclasses.replace(PRESETS["debug"], env=EnvConfig(simulator="none"))


def settings_of(reset: str) -> dict[str, Any]:
    """Returns the settings that a kind of reset needs."""
    return {"reset": reset, "reset_command": "python3 'my reset.py' --fast" if reset == "command" else ""}


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("env", [EnvConfig(simulator="none"), EnvConfig(simulator="none", mirror="kinematic")])
def test_a_robot_takes_every_kind_of_reset(reset: str, env: EnvConfig) -> None:
    assert TrainConfig(env=env, episode=EpisodeConfig(**settings_of(reset))).episode.reset == reset


@pytest.mark.parametrize("reset", [reset for reset in RESETS if reset != "operator"])
def test_a_simulator_resets_its_own_scene(reset: str) -> None:
    with pytest.raises(ValueError, match="episode.reset must be operator with env.simulator kinematic, got") as caught:
        dataclasses.replace(PRESETS["debug"], episode=EpisodeConfig(**settings_of(reset)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"reset": "command"}, "reset_command must be set where episode.reset is command and nowhere else, got ''"),
        ({"reset": "command", "reset_command": "  "}, "reset_command must be set where episode.reset is command"),
        ({"reset": "scripted", "reset_command": "go"}, "got 'go' with episode.reset scripted; change one of them"),
        ({"reset_command": "go"}, "got 'go' with episode.reset operator; change one of them"),
        (
            {"reset": "command", "reset_command": "go 'home"},
            "must be a command line, got 'go 'home' .*close its quotes",
        ),
        ({"reset": "robot"}, "reset must be one of operator, scripted, teleoperated, command, got 'robot'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        EpisodeConfig(**settings)  # type: ignore[arg-type]


def test_the_command_is_split_as_a_shell_would_split_it() -> None:
    assert EpisodeConfig(**settings_of("command")).reset_arguments == ("python3", "my reset.py", "--fast")
    assert EpisodeConfig().reset_arguments == ()
