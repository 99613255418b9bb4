"""Tests which settings a checkpoint has, and which of them are taken.

Flags come first, then the checkpoint, then the preset.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring, setup_for_training
from chunk_ppo_ros.agent.run_start.setting_lines import describe
from chunk_ppo_ros.config import PRESETS, ChunkLengthConfig, EpisodeConfig, TrainConfig, flags, to_dict
from chunk_ppo_ros.core.errors import CheckpointError, SettingError
from chunk_ppo_ros.evaluation import evaluate, positions
from chunk_ppo_ros.model.checkpoints.atomic_folder import checksums
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata_file import read_checked, write_checked
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from support.small_policy import configure, make_params, make_tokenizer, rewrite_json, save_openpi, save_own

OLD_METADATA = Path(__file__).parent / "data" / "metadata_704d3cf.json"
"""The metadata that commit 704d3cf wrote for the small policy at temperature 0.7.

It has no section `settings`, and ten sizes of towers.
"""


def unlike_presets(config: TrainConfig) -> TrainConfig:
    """Returns the configuration with a task, a limit, a temperature and a prompt that no preset has."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, temperature=0.5),
        env=dataclasses.replace(config.env, task="transfer_cube", simulator="mujoco", max_episode_chunks=9),
        run=dataclasses.replace(config.run, prompt="hand over"),
    )


def save_imitation(directory: Path, settings: RunSettings) -> Path:
    """Saves a checkpoint of openpi's layout with these settings, and returns its folder."""
    return save_openpi_checkpoint(
        directory,
        make_params()["actor_backbone"],
        write_assets=lambda assets: make_tokenizer().save(assets),
        settings=settings,
    )


def parsed(*arguments: str) -> tuple[flags.FlagParser, argparse.Namespace]:
    parser = flags.FlagParser(prog="test", description=None)
    flags.add_config_flags(parser, preset="debug")
    return parser, parser.parse_args(arguments)


def measured(checkpoint: Path, *arguments: str) -> TrainConfig:
    return config_for_measuring(*parsed(*arguments), Checkpoint.open(checkpoint))


@pytest.mark.parametrize("layout", ["own", "openpi"])
def test_a_checkpoint_is_measured_as_it_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    config = unlike_presets(configure(tmp_path))
    if layout == "own":
        path = save_own(tmp_path / "run", config=config)
    else:
        path = save_imitation(tmp_path / "imitation", RunSettings.of(config))
    found = measured(path)
    assert (found.model, found.env, found.run.prompt) == (config.model, config.env, "hand over")
    assert found.run == dataclasses.replace(PRESETS["debug"].run, prompt="hand over")
    assert capsys.readouterr().out == (
        "task transfer_cube, simulator mujoco, time limit 36 control steps (9 chunks of 4), temperature 0.5, prompt "
        f"'hand over'; the settings are those of {path} and the flags\n"
    )


def test_a_flag_comes_first_and_what_it_changes_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_own(tmp_path / "run", config=unlike_presets(configure(tmp_path)))
    found = measured(path, "--simulator", "kinematic", "--temperature", "1.0", "--prompt", "")
    assert (found.env.simulator, found.env.task, found.model.temperature) == ("kinematic", "transfer_cube", 1.0)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    for change in ("model.temperature 0.5 -> 1.0", "env.simulator 'mujoco' -> 'kinematic'", "'hand over' -> ''"):
        assert change in line.split("otherwise than in its run: ")[1]


def test_prompts_are_those_of_the_checkpoint_and_flags_replace_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path)
    several = dataclasses.replace(config, episode=EpisodeConfig(prompts=("2=reach", "hold"), prompt_sampling="random"))
    path = save_own(tmp_path / "several", config=several)
    assert measured(path).episode == several.episode
    assert "random prompts 'reach' (weight 2), 'hold' (weight 1); the settings" in capsys.readouterr().out
    one = measured(path, "--prompt", "reach")
    assert (one.run.prompt, one.episode.prompts) == ("reach", ())
    assert "episode.prompts ['2=reach', 'hold'] -> []" in capsys.readouterr().out
    assert measured(path, "--prompts", "wave").episode == EpisodeConfig(prompts=("wave",), prompt_sampling="random")
    named = save_own(tmp_path / "named", config=unlike_presets(config))
    found = measured(named, "--prompts", "wave", "reach")
    assert (found.run.prompt, found.episode.prompts) == ("", ("wave", "reach"))


def test_what_the_checkpoint_says_comes_before_the_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_own(tmp_path / "run", config=unlike_presets(configure(tmp_path)))
    assert measured(path, "--config", "full").env.max_episode_chunks == 9
    assert "robot.max_start_jump 6.3 -> 0.5" in capsys.readouterr().out  # limits stay the preset's, aloud


def test_a_rule_for_chunk_lengths_comes_with_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure(tmp_path)
    config = dataclasses.replace(
        config,
        chunk_length=ChunkLengthConfig(length_rule="scheduled", end_steps=2),
        ppo=dataclasses.replace(config.ppo, discount_per_step=True),
    )
    assert measured(save_own(tmp_path / "run", config=config)).chunk_length == config.chunk_length
    assert "chunks executed by the rule scheduled" in capsys.readouterr().out


def test_a_run_with_a_rule_for_chunk_lengths_is_resumed_by_its_own_flags(tmp_path: Path) -> None:
    config = configure(tmp_path)
    config = dataclasses.replace(
        config,
        chunk_length=ChunkLengthConfig(length_rule="scheduled", end_steps=2),
        ppo=dataclasses.replace(config.ppo, discount_per_step=True),
    )
    checkpoint = str(save_own(tmp_path / "run", config=config))
    places = ("--pretrained_checkpoint_path", checkpoint)
    again = setup_for_training(*parsed(*places, "--discount_per_step")).config
    assert (again.chunk_length, again.ppo.discount_per_step) == (config.chunk_length, True)
    with pytest.raises(SystemExit):  # The rule of the checkpoint needs a discount that the preset does not have.
        setup_for_training(*parsed(*places))


def test_settings_of_another_release_are_left_out_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_own(tmp_path / "run", config=unlike_presets(configure(tmp_path)))
    rewrite_json(path / "metadata.json", lambda content: content["settings"]["env"].update(gravity=1.6))
    assert measured(path).env.max_episode_chunks == 9
    assert "left out: env.gravity" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [{"env": {"max_episode_chunks": 0}}, {"env": {"task": 3}}, {"env": 3}])
def test_wrong_settings_are_an_error(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = save_own(tmp_path / "run")
    rewrite_json(path / "metadata.json", lambda content: content["settings"].update(wrong))
    with pytest.raises(CheckpointError, match=r"metadata.json (cannot be used|must be)"):
        Checkpoint.open(path)


def test_changed_settings_of_an_imitation_are_noticed(tmp_path: Path) -> None:
    path = save_imitation(tmp_path / "imitation", RunSettings.of(configure(tmp_path)))
    file = path / "settings.json"
    file.write_text(file.read_text().replace("kinematic", "mujoco"))
    with pytest.raises(CheckpointError, match="settings.json was changed since it was written"):
        Checkpoint.open(path)


def test_other_actions_are_refused_by_name_and_another_measurement_is_not(tmp_path: Path) -> None:
    config = configure(tmp_path)
    path = save_imitation(tmp_path / "imitation", RunSettings.of(config))
    longer = dataclasses.replace(config, model=dataclasses.replace(config.model, action_horizon=8, adapt_to_pi=True))
    message = r"made for other actions or images .*model.action_horizon 4 -> 8.*model.adapt_to_pi False -> True"
    with pytest.raises(CheckpointError, match=message):
        restore.load(Checkpoint.open(path), longer)
    restore.load(Checkpoint.open(path), unlike_presets(config))


def test_a_description_says_how_many_steps_of_a_chunk_are_executed(tmp_path: Path) -> None:
    config = configure(tmp_path)
    limit = config.env.max_episode_chunks
    assert describe(config) == (
        f"task reach, simulator kinematic, time limit {4 * limit} control steps ({limit} chunks of 4), temperature 1, "
        "the task's own prompt"
    )
    fewer = dataclasses.replace(config, chunk_length=ChunkLengthConfig(executed_steps=3))
    assert "temperature 1, 3 steps of each chunk executed, the task's own prompt" in describe(fewer)


# The tests below check checkpoints that do not say their settings.


def test_an_imitation_without_settings_is_measured_by_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_openpi(tmp_path / "imitation")
    assert not (path / "settings.json").exists()
    assert measured(path, "--config", "demo") == PRESETS["demo"]
    assert (
        f"{path} does not say its task, simulator, time limit, temperature, prompt, so they are those of preset demo "
        "and the flags; choose the preset by --config"
    ) in capsys.readouterr().out


def test_a_checkpoint_of_an_unknown_task_is_measured_only_with_the_preset_or_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_openpi(tmp_path / "imitation")
    with pytest.raises(SettingError) as refused:
        evaluate.main([str(path), "--task", "reach"])
    assert str(refused.value) == (
        f"{path} does not say which task it was trained on; name the preset of its run, such as --config demo, or give "
        "--simulator, --max_episode_chunks, --temperature"
    )
    assert capsys.readouterr().out == ""
    task = ("--task", "reach", "--simulator", "kinematic", "--max_episode_chunks", "6", "--temperature", "0.7")
    assert measured(path, *task).env.max_episode_chunks == 6
    assert measured(path, "--config", "debug") == PRESETS["debug"]  # also the preset that is the default, when named
    own = as_before(save_own(tmp_path / "run"))
    with pytest.raises(SettingError, match="demo, or give --task, --simulator, --max_episode_chunks$"):
        measured(own)  # it has its temperature
    other = config_for_measuring(*parsed(), Checkpoint.open(path), needs_task=False)
    assert other == PRESETS["debug"]


def as_before(checkpoint: Path) -> Path:
    """Gives a checkpoint the metadata that commit 704d3cf wrote for it, and returns its folder."""
    content = read_checked(OLD_METADATA)
    del content["format_version"]
    (checkpoint / "metadata.json").unlink()
    write_checked(checkpoint / "metadata.json", {**content, "checksums": checksums(checkpoint)})
    return checkpoint


def test_a_checkpoint_of_before_loads_resumes_and_says_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "settings" not in json.loads(OLD_METADATA.read_text())
    run = {"pretrained_checkpoint_path": str(save_openpi(tmp_path / "imitation"))}
    learner = Learner.start(configure(tmp_path, run=run, temperature=0.7))
    path = as_before(learner.checkpoint.root)
    config = measured(path, "--config", "debug")
    assert (config.model.temperature, config.env) == (0.7, PRESETS["debug"].env)
    assert "does not say its task, simulator, time limit, prompt, so they are those of preset debug" in (
        capsys.readouterr().out
    )
    Actor(config, Checkpoint.open(path), policy_version=0)
    resumed = Learner.start(configure(tmp_path, run={**run, "resume": True}, temperature=0.7))
    assert resumed.startup_messages[0].startswith("run debug-20261127-")
    assert " goes on from version 0 (started from openpi checkpoint /tmp/" in resumed.startup_messages[0]


def test_a_resumed_run_of_before_takes_its_old_settings_from_the_metrics(tmp_path: Path) -> None:
    """Commit 704d3cf wrote no settings into checkpoints. It wrote them, under old names, at each start of a run."""
    config = configure(tmp_path, run={"pretrained_checkpoint_path": str(save_openpi(tmp_path / "imitation"))})
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, temperature=0.7))
    learner = Learner.start(config)
    path = as_before(learner.checkpoint.root)
    run_id = json.loads((path / "metadata.json").read_text())["counters"]["run_id"]
    resumed = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
    faster = dataclasses.replace(resumed, ppo=dataclasses.replace(resumed.ppo, learning_rate=2e-4, gamma=0.5))
    metrics = tmp_path / "runs" / "debug" / "metrics.jsonl"
    silent = f"whether settings changed is not known, because {path} does not say those of its run: "
    (unknown,) = Learner.start(faster).startup_messages[1:]
    assert unknown.startswith(silent)
    assert str(metrics) in unknown

    settings = to_dict(config)
    del settings["model"]["tower_sizes"]
    settings["model"] |= {"siglip_width": 8, "siglip_mlp_dim": 8, "siglip_num_heads": 2, "siglip_depth": 0}
    settings["model"] |= {"gemma_width": 16, "gemma_depth": 1, "gemma_mlp_dim": 8, "gemma_num_heads": 2}
    settings["model"] |= {"gemma_head_dim": 4}
    settings["env"]["cube_spread"] = 1.0
    settings["ppo"] |= {"max_logp_gap": 1e-3, "max_logp_gap_bfloat16": 0.9}
    starts = [{"ppo": {"gamma": 0.1}}, settings]  # only the last start counts
    records = [{"kind": "run", "run_id": run_id, "config": each} for each in starts]
    metrics.parent.mkdir(parents=True)
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert Learner.start(resumed).startup_messages[1:] == ()
    assert Learner.start(faster).startup_messages[1:] == (
        f"changed since the last start ({metrics}): ppo.learning_rate 0.0001 -> 0.0002",
        f"changed since the last start ({metrics}): ppo.gamma 0.99 -> 0.5",
    )
    metrics.write_text(json.dumps({**records[1], "run_id": "another"}) + "\n")
    assert Learner.start(faster).startup_messages[1:] == (f"{silent}{metrics} has no record of the run {run_id}",)


# The tests below check which settings a training run takes.


def test_training_takes_the_settings_of_its_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = unlike_presets(configure(tmp_path))
    path = save_imitation(tmp_path / "imitation", RunSettings.of(config))
    found = setup_for_training(*parsed("--pretrained_checkpoint_path", str(path), "--max_episode_chunks", "5")).config
    assert (found.model, found.env.task, found.env.max_episode_chunks) == (config.model, "transfer_cube", 5)
    assert found.ppo == PRESETS["debug"].ppo
    assert "task transfer_cube, simulator mujoco, time limit 20 control steps" in capsys.readouterr().out
    run = {"pretrained_checkpoint_path": str(path), "prompt": "reach"}
    quick = dataclasses.replace(found, run=configure(tmp_path, run=run).run)
    (_, note) = Learner.start(quick).startup_messages
    assert note == (
        f"settings differ from those of the run of {path}: env.max_episode_chunks 9 -> 5, "
        "run.prompt 'hand over' -> 'reach'"
    )


def test_training_without_a_start_says_which_preset_it_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert setup_for_training(*parsed()).config == PRESETS["debug"]
    preset, settings = capsys.readouterr().out.splitlines()
    assert preset.startswith("preset debug (--config): a smoke test of a minute")
    assert settings.endswith("the settings are those of preset debug and the flags")
    missing = str(tmp_path / "nowhere")  # the learner says why, or falls back
    assert setup_for_training(*parsed("--pretrained_checkpoint_path", missing)).config.env == PRESETS["debug"].env


def test_a_resumed_run_says_where_it_goes_on_what_changed_and_that_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = {"pretrained_checkpoint_path": str(save_openpi(tmp_path / "imitation"))}
    config = configure(tmp_path, run=run)
    first = Learner.start(config)
    assert first.startup_messages == (f"run {first.run_id} starts from {first.provenance} at version 0",)
    resumed = configure(tmp_path, run={"resume": True})  # without the start: it has no part in a resumed run
    assert Learner.start(resumed).startup_messages == (
        f"run {first.run_id} goes on from version 0 (started from {first.provenance})",
    )
    faster = dataclasses.replace(resumed, ppo=dataclasses.replace(resumed.ppo, learning_rate=2e-4, gamma=0.5))
    assert Learner.start(faster).startup_messages[1:] == (
        "changed since step_0: ppo.learning_rate 0.0001 -> 0.0002",
        "changed since step_0: ppo.gamma 0.99 -> 0.5",
    )
    rewrite_json(first.checkpoint.root / "metadata.json", lambda content: content["counters"].update(num_steps=5024))
    assert Learner.start(resumed).startup_messages[1:] == (
        f"run {first.run_id} is done: it has trained on 5024 control steps of ppo.total_timesteps 5000; raise "
        "--total_timesteps to go on",
    )
    places = ("--resume", "--exp_name", "debug", "--checkpoint_root", str(tmp_path / "checkpoints"))
    assert setup_for_training(*parsed(*places)).config.model == config.model
    of_the_run, others, *history = capsys.readouterr().out.splitlines()
    assert of_the_run.endswith(f"the settings are those of {first.checkpoint.root} and the flags")
    assert others == "all other settings, such as those of ppo and reward, are those of preset debug (--config)"
    assert [line.split()[1] for line in history[1:]] == ["foreign:", "training:"]


# The test below checks that the commands of measurements refuse a real robot.


@pytest.mark.parametrize("command", [evaluate, positions])
def test_a_real_robot_is_not_measured(command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_own(tmp_path / "run")
    with pytest.raises(SystemExit) as stopped:
        command.main([str(path), "--simulator", "none"])
    assert stopped.value.code == 2
    assert "env.simulator must be mujoco or kinematic to" in capsys.readouterr().err.splitlines()[0]
