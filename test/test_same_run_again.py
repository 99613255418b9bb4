"""Tests that the command on a run's page gives again what the user gave, where a checkpoint would decide otherwise."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup, setup_for_training
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.commands.training import train_parser
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.reporting.page.provenance import provenance, run_command
from chunk_ppo_ros.reporting.page.run_data import RunData
from support.launch_stubs import load_launch_file, stubbed_launch
from support.small_policy import configure, save_own
from support.started_graphs import Start, page_of, page_with_start, starter, words_for_bash

USUAL = PRESETS["debug"]
HOSTILE = (
    'it\'s "two" words',
    "把杯子拿起来",
    "$HOME `id` \\ !x; rm -rf ~ # *",
    "--no_wandb",
    " two  spaces ",
    "a line\nand another",
    "",
)
"""Texts that a shell or the parser might read as something else."""


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    return starter(monkeypatch)


def checkpoint_of(folder: Path, **episode: Any) -> str:
    """Saves a checkpoint whose settings differ from those of every preset, and returns its folder."""
    config = configure(folder, run={"prompt": "" if episode else "reach"}, cameras=USUAL.model.cameras, temperature=0.5)
    env = dataclasses.replace(config.env, max_episode_chunks=9)
    robot = dataclasses.replace(config.robot, control_rate=25.0)
    config = dataclasses.replace(config, env=env, robot=robot, episode=dataclasses.replace(config.episode, **episode))
    return str(save_own(folder / "start", config=config))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return checkpoint_of(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def of_several_prompts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return checkpoint_of(tmp_path_factory.mktemp("prompts"), prompts=("reach both balls", "2=reach"))


def places(folder: Path) -> list[str]:
    return ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "kept"), "--no_wandb"]


def trained(arguments: list[str]) -> TrainingSetup:
    """Returns what the command `train` makes of arguments."""
    parser = train_parser()
    return setup_for_training(parser, parser.parse_args(arguments))


def page_of_training(arguments: list[str]) -> RunData:
    setup = trained(arguments)
    return page_with_start(setup.config, form="train", run_start=setup.given)


def words_of(run: RunData, form: str) -> list[str]:
    """Returns the arguments of the command that makes a run again, after bash has read it as `shlex` does."""
    command = run_command(run, resume=False)
    program, name, *words = shlex.split(command)
    assert (program, name) == ("chunk_ppo", form)
    assert words_for_bash(command) == [name, *words]
    return words


GIVEN = (
    ["--temperature", str(USUAL.model.temperature)],
    ["--model.temperature", "0.5", "--max_episode_chunks", str(USUAL.env.max_episode_chunks)],
    ["--prompt", ""],
    ["--control_rate", str(USUAL.robot.control_rate), "--task", "reach", "--task_settings="],
    ["--prompt", "reach both balls", "--prompts="],
    ["--seed", "0", "--no_resume", "--gamma", "0.5", "--sources", "task", "--simulator", "kinematic"],
)
"""Flags whose values are those of the preset debug, for some of which the checkpoint has another one."""


@pytest.mark.parametrize("given", [[], *GIVEN, ["--model", "tiny"]], ids=" ".join)
def test_a_training_is_made_again_with_what_was_given(tmp_path: Path, checkpoint: str, given: list[str]) -> None:
    arguments = [*places(tmp_path), "--pretrained_checkpoint_path", checkpoint, *given]
    run = page_of_training(arguments)
    assert trained(words_of(run, "train")).config == trained(arguments).config


@pytest.mark.parametrize("given", [[], *GIVEN], ids=" ".join)
def test_a_graph_is_made_again_with_what_was_given(
    tmp_path: Path, checkpoint: str, start: Start, given: list[str]
) -> None:
    first = start([*places(tmp_path), "--pretrained_checkpoint_path", checkpoint, *given])
    assert start(words_of(page_of(first), "graph")).config == first.config


@pytest.mark.parametrize("given", [["--prompts="], ["--prompts", "reach", "reach both balls"], ["--prompt", "reach"]])
def test_prompts_are_given_again_where_the_checkpoint_has_several(
    tmp_path: Path, of_several_prompts: str, start: Start, given: list[str]
) -> None:
    arguments = [*places(tmp_path), "--pretrained_checkpoint_path", of_several_prompts, *given]
    assert trained(words_of(page_of_training(arguments), "train")).config == trained(arguments).config
    first = start(arguments)
    assert start(words_of(page_of(first), "graph")).config == first.config


@pytest.mark.parametrize("is_gone", [False, True], ids=["a file", "a preset that is gone"])
def test_what_a_file_gave_is_given_again(tmp_path: Path, checkpoint: str, start: Start, is_gone: bool) -> None:
    sections = {
        "model": {"temperature": USUAL.model.temperature},
        "env": {"max_episode_chunks": USUAL.env.max_episode_chunks, "simulator": "kinematic"},
        "run": {"pretrained_checkpoint_path": checkpoint, "prompt": ""},
    }
    file = tmp_path / "my robot's.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}))
    first = start([*places(tmp_path), "--params_file", str(file), "--temperature", str(USUAL.model.temperature)])
    known = RunStart.of_environment(first.named["environment"])
    run = page_of(first, run_start=dataclasses.replace(known, preset="gone") if is_gone else known)
    words = words_of(run, "graph")
    assert f"--temperature={USUAL.model.temperature}" in words, "the user gave it by hand, whatever the file says later"
    assert (f"--params_file={file}" in words) is not is_gone
    assert start(words).config == first.config


@pytest.mark.parametrize("text", HOSTILE)
def test_a_shell_reads_every_text_as_it_was_given(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    name = text.strip().replace("~", "") or "plain"
    given = [*places(tmp_path / name), f"--exp_name={name}", f"--prompt={text}", "--task_settings="]
    run = page_of_training(given)
    assert trained(words_of(run, "train")).config == trained(given).config
    first = start([*given, f"--static_peers={text};10.0.0.2", "--discovery", "static_peers", "--record"])
    again = start(words_of(page_of(first), "graph"))
    assert again == first


def test_a_size_of_the_model_is_given_by_its_name_or_where_that_is_gone_by_its_settings(
    tmp_path: Path, checkpoint: str
) -> None:
    arguments = [*places(tmp_path), "--pretrained_checkpoint_path", checkpoint, "--model", "tiny"]
    run = page_of_training(arguments)
    short = words_of(run, "train")
    assert "--model=tiny" in short and not any(word.startswith("--image_size") for word in short)
    run.start["run_start"]["flags"]["model"] = "of another version"
    words = words_of(run, "train")
    assert not any(word.startswith("--model=") for word in words)
    assert trained(words).config == trained(arguments).config


def test_a_run_that_was_gone_on_with_begins_again_where_it_began(tmp_path: Path, checkpoint: str) -> None:
    usual = ["--temperature", str(USUAL.model.temperature), "--prompt", ""]
    begun = [*places(tmp_path), "--pretrained_checkpoint_path", checkpoint, "--asset_id", "mine", *usual]
    begun += ["--tokenizer_dir", str(tmp_path / "tokenizers"), "--on_load_failure", "fail"]
    first = page_of_training(begun).config
    config = trained(begun).config
    save_own(config.run.checkpoint_folder, config=config)  # as the learner does at once
    resumed = page_of_training([*places(tmp_path), "--resume", "--total_timesteps", "9000"])
    assert trained(words_of(resumed, "train")).config == dataclasses.replace(
        config, ppo=dataclasses.replace(config.ppo, total_timesteps=9000)
    )
    assert first["run"]["pretrained_checkpoint_path"] == checkpoint
    assert "--pretrained_checkpoint_path" not in run_command(resumed, resume=True)
    assert "They have the settings of its newest start, which differ from the first in ppo.total_timesteps." in str(
        provenance(resumed)
    )


@pytest.mark.parametrize("is_edited", [False, True], ids=["no file", "the file without it"])
def test_what_a_file_of_the_first_start_gave_is_given_where_the_newest_had_it_from_none(
    tmp_path: Path, checkpoint: str, start: Start, is_edited: bool
) -> None:
    file = tmp_path / "mine.yaml"

    def write(**sections: Any) -> None:
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}))

    write(model={"temperature": USUAL.model.temperature})
    begun = [*places(tmp_path), "--pretrained_checkpoint_path", checkpoint]
    first = start([*begun, "--params_file", str(file)])
    page_of(first)
    save_own(first.config.run.checkpoint_folder, config=first.config)
    write(ppo={"gamma": 0.5})
    run = page_of(start([*places(tmp_path), "--resume", *(["--params_file", str(file)] if is_edited else [])]))
    words = words_of(run, "graph")
    assert f"--temperature={USUAL.model.temperature}" in words and "--resume" not in words
    assert (f"--params_file={file}" in words) is is_edited
    shutil.rmtree(first.config.run.checkpoint_folder)  # The page says to take a name that is free.
    assert start(words).config.model.temperature == USUAL.model.temperature


def test_an_earlier_run_keeps_its_command(tmp_path: Path, checkpoint: str) -> None:
    usual = ["--temperature", str(USUAL.model.temperature), "--gamma", "0.5"]
    run = page_of_training([*places(tmp_path), "--pretrained_checkpoint_path", checkpoint, *usual])
    assert "--temperature" in run_command(run, resume=True)
    del run.start["run_start"]
    command = run_command(run, resume=True)
    assert "--temperature" not in command and "--gamma=0.5" in command


def test_the_launch_file_records_what_was_given(
    tmp_path: Path, checkpoint: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    run = {"pretrained_checkpoint_path": checkpoint, "wandb": False}
    sections = {"run": run, "env": {"simulator": "kinematic"}, "model": {"temperature": USUAL.model.temperature}}
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}))
    with stubbed_launch() as actions:
        monkeypatch.setattr(actions, "hold_domain", lambda wanted, **_: wanted)
        monkeypatch.setattr(actions, "hold_run", lambda folder: None)
        given = {"run_dir": str(tmp_path / "runs"), "checkpoint_root": str(tmp_path / "kept"), "config": str(file)}
        given |= {
            "exp_name": "one",
            "prompt": "reach both balls",
            "max_episode_chunks": str(USUAL.env.max_episode_chunks),
        }
        graph = {"discovery": "localhost", "on_node_exit": "stop", "domain_id": "45"}
        configure, seen = load_launch_file("training.launch.py").configure, list[TrainConfig]()

        def configured(given: Any) -> Any:
            config, known = configure(given)
            seen.append(config)
            return config, known

        made = actions.start_graph(actions.Given({**given, **graph}), configured)
    variables = dict(action.given for action in made if len(action.given) == 2)
    page = page_with_start(seen[0], run_start=RunStart.of_environment(variables), form="graph")
    words = words_of(page, "graph")
    assert {f"--params_file={file}", "--domain_id=45"} <= set(words)
    assert start(words).config == seen[0]
