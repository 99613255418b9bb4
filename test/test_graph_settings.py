"""Tests which settings the graph of nodes takes from the checkpoint that its run starts from, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent.run_start.graph_settings import with_checkpoint
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.config.parameter_file import load_config_file, values_of_file
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.runtime import graph
from support.small_policy import configure, make_params, make_tokenizer, save_openpi, save_own


@pytest.fixture
def imitation(tmp_path: Path) -> Path:
    """Returns an imitation of 4 steps a chunk at 9 chunks, temperature 0.5 and a prompt of its own."""
    config = configure(tmp_path, run={"prompt": "reach"}, cameras=tuple(ROBOT_CAMERAS), temperature=0.5)
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, max_episode_chunks=9))
    return save_openpi_checkpoint(
        tmp_path / "imitation",
        make_params()["actor_backbone"],
        write_assets=lambda assets: make_tokenizer().save(assets),
        settings=RunSettings.of(config),
    )


class Graphs:
    """Stands for the supervisor, and keeps the configurations of the graphs that it is to start."""

    def __init__(self) -> None:
        self.configs: list[TrainConfig] = []
        self.status = 0
        self.work = lambda config: None

    def __call__(self, graph: graph.Graph, **_: object) -> Graphs:
        self.configs.append(load_config_file(graph.parameter_file))
        return self

    def run(self) -> int:
        self.work(self.configs[-1])
        return self.status


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    started = Graphs()
    monkeypatch.setattr(graph, "Supervisor", started)
    return started


def places(folder: Path) -> list[str]:
    return ["--exp_name", "cup", "--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "kept")]


def parameter_file(folder: Path, **sections: dict[str, Any]) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}))
    return path


def test_flags_come_before_the_file_and_that_before_the_checkpoint_and_that_before_the_preset(
    imitation: Path, tmp_path: Path, graphs: Graphs, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["graph", *places(tmp_path), "--pretrained_checkpoint_path", str(imitation)]
    assert main(start) == 0
    config = graphs.configs[-1]
    assert (config.model.action_horizon, config.model.image_size, config.model.temperature) == (4, 32, 0.5)
    assert (config.env.max_episode_chunks, config.run.prompt) == (9, "reach")
    assert config.ppo == PRESETS["debug"].ppo
    printed = capsys.readouterr().out
    assert "temperature 0.5, prompt 'reach'; what was not given is that of" in printed
    assert f"{imitation} was made in these stages:" in printed
    file = parameter_file(tmp_path, env={"max_episode_chunks": 5}, model={"temperature": 0.8})
    assert main([*start, "--params_file", str(file), "--temperature", "0.9", "--prompt", "reach both balls"]) == 0
    config = graphs.configs[-1]
    assert (config.env.max_episode_chunks, config.model.temperature, config.run.prompt) == (5, 0.9, "reach both balls")
    assert config.model.action_horizon == 4


def test_a_checkpoint_never_decides_that_a_robot_moves_nor_how_its_sensors_are_read(tmp_path: Path) -> None:
    config = configure(tmp_path, cameras=tuple(ROBOT_CAMERAS))
    robot = dataclasses.replace(config.env, simulator="none", realtime=True, sensor_timeout=1.5, max_episode_chunks=7)
    simulated = dataclasses.replace(config.env, simulator="mujoco", sensor_timeout=1.5)
    for env, other, found in (
        (robot, config.env, "kinematic"),
        (simulated, robot, "none"),
        (simulated, config.env, "mujoco"),
    ):
        path = save_own(
            tmp_path / f"run-{env.simulator}-{other.simulator}", config=dataclasses.replace(config, env=env)
        )
        run = dataclasses.replace(config.run, pretrained_checkpoint_path=str(path))
        resolved = with_checkpoint(dataclasses.replace(PRESETS["debug"], env=other, run=run), given=()).env
        assert (resolved.simulator, resolved.max_episode_chunks) == (found, env.max_episode_chunks)
        assert (resolved.sensor_timeout, resolved.realtime) == (other.sensor_timeout, other.realtime)


def test_a_contradiction_is_refused_with_the_line_to_change_before_anything_is_made(
    imitation: Path, tmp_path: Path, graphs: Graphs, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["graph", *places(tmp_path), "--pretrained_checkpoint_path", str(imitation)]
    assert main([*start, "--action_horizon", "8"]) == 2
    error = capsys.readouterr().err
    assert "model.action_horizon 4 -> 8" in error and "(change model.action_horizon by leaving out the flags)" in error
    file = parameter_file(tmp_path, model={"delta_actions": False, "temperature": 0.7})
    assert main([*start, "--params_file", str(file)]) == 2
    error = capsys.readouterr().err
    assert "model.delta_actions True -> False; use the checkpoint's settings" in error
    assert f"(change model.delta_actions in {file} or leave out the flags)" in error
    assert main([*start, "--model", "gemma_2b"]) == 2
    assert "(change model by leaving out the flags)" in capsys.readouterr().err
    assert not graphs.configs
    assert not (tmp_path / "runs").exists() and not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--resume"], "cup holds no finished checkpoint to resume from"),
        (["--pretrained_checkpoint_path", "no/where"], "no/where must be a folder, got none of that name"),
        (["--pretrained_checkpoint_path", "DAMAGED", "--on_load_failure", "fail"], "norm_stats.json cannot be used"),
        (["--pretrained_checkpoint_path", "DAMAGED", "--simulator", "none"], "norm_stats.json cannot be used"),
        (["--pretrained_checkpoint_path", "IMITATION", "--prompt", "put the cup on " * 9], "prompt must be at most 28"),
        (["--pretrained_checkpoint_path", "IMITATION", "--task", "juggle"], "juggle"),
        (["--task", "juggle"], "juggle"),
    ],
)
def test_a_graph_that_cannot_start_makes_no_folder(
    flags: list[str], text: str, imitation: Path, tmp_path: Path, graphs: Graphs, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = save_openpi(tmp_path / "damaged")
    (damaged / "assets" / "trossen" / "norm_stats.json").write_text("{")
    paths = {"DAMAGED": str(damaged), "IMITATION": str(imitation)}
    assert main(["graph", *places(tmp_path), *(paths.get(flag, flag) for flag in flags)]) == 2
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error
    assert not graphs.configs
    assert not (tmp_path / "runs").exists() and not (tmp_path / "kept").exists()


def test_a_damaged_checkpoint_is_left_to_the_trainer_where_it_may_fall_back(tmp_path: Path, graphs: Graphs) -> None:
    damaged = save_openpi(tmp_path / "damaged")
    (damaged / "assets" / "trossen" / "norm_stats.json").write_text("{")
    assert main(["graph", *places(tmp_path), "--pretrained_checkpoint_path", str(damaged)]) == 0
    assert len(graphs.configs) == 1


def test_a_new_graph_takes_no_folder_of_another_run_and_a_resumed_one_takes_its_settings(
    tmp_path: Path, graphs: Graphs
) -> None:
    config = configure(tmp_path, cameras=tuple(ROBOT_CAMERAS), temperature=0.6)
    save_own(tmp_path / "kept" / "cup", config=config, step=7)
    assert main(["graph", *places(tmp_path)]) == 2
    assert not graphs.configs
    assert main(["graph", *places(tmp_path), "--resume"]) == 0
    assert graphs.configs[-1].model == config.model


def test_the_first_checkpoint_of_a_graph_that_failed_at_its_start_is_removed(
    imitation: Path, tmp_path: Path, graphs: Graphs, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["graph", *places(tmp_path), "--pretrained_checkpoint_path", str(imitation)]
    kept, journal = tmp_path / "kept" / "cup", tmp_path / "runs" / "cup" / "store" / "journal"
    graphs.work, graphs.status = lambda config: save_own(kept, step=0), 1
    for _ in range(2):  # The corrected command needs no other name.
        assert main(flags) == 1
        assert not kept.exists()
    graphs.status = 130  # The user has stopped it, and may go on.
    assert "--resume goes on" not in capsys.readouterr().out
    assert main(flags) == 130
    assert f"the newest checkpoint is {kept / 'step_0'}; the same command with --resume" in capsys.readouterr().out
    assert kept.is_dir()
    main([*flags, "--resume"])
    assert kept.is_dir()
    kept.rename(tmp_path / "moved")
    graphs.status = 1
    journal.mkdir(parents=True)
    (journal / "LOCK").touch()
    assert main(flags) == 1
    assert not kept.exists()  # A store without a record holds nothing that could be lost.
    (journal / "00000000000000000000.log").write_bytes(b"a transition")
    assert main(flags) == 1
    assert kept.is_dir()  # What the robot did is not thrown away.


def test_prompts_of_the_user_replace_a_list_of_the_checkpoint(tmp_path: Path) -> None:
    config = configure(tmp_path, cameras=tuple(ROBOT_CAMERAS))
    several = dataclasses.replace(config.episode, prompts=("reach", "2=reach both balls"))
    path = save_own(tmp_path / "run", config=dataclasses.replace(config, episode=several))
    base = dataclasses.replace(
        PRESETS["debug"], run=dataclasses.replace(config.run, pretrained_checkpoint_path=str(path), prompt="")
    )
    assert with_checkpoint(base, given=()).episode.prompts == several.prompts
    named = dataclasses.replace(base, run=dataclasses.replace(base.run, prompt="reach"))
    found = with_checkpoint(named, given=("run.prompt",))
    assert (found.run.prompt, found.episode.prompts) == ("reach", ())


def test_the_settings_of_a_file_have_the_names_of_this_release(tmp_path: Path) -> None:
    file = parameter_file(tmp_path, env={"max_episode_chunks": 5}, model={"cameras": ["base_0_rgb"]})
    assert values_of_file(file) == {"env.max_episode_chunks": 5, "model.cameras": ["base_0_rgb"]}
    robot = Path(__file__).parents[1] / "config" / "robot.yaml"
    assert {"model.adapt_to_pi", "run.on_load_failure"} <= set(values_of_file(robot))


def test_the_launch_file_takes_the_settings_of_the_checkpoint_and_names_the_line_of_its_file(
    imitation: Path, tmp_path: Path
) -> None:
    run = {"pretrained_checkpoint_path": str(imitation), "checkpoint_root": str(tmp_path / "kept")}
    for model, fits in (({}, True), ({"adapt_to_pi": True}, False)):
        file = parameter_file(tmp_path, run=run, **({"model": model} if model else {}))
        config = load_config_file(file)
        if fits:
            found = with_checkpoint(config, given=values_of_file(file), file=str(file))
            assert (found.model.action_horizon, found.env.max_episode_chunks) == (4, 9)
            continue
        with pytest.raises(ContradictedCheckpoint, match=rf"change model.adapt_to_pi in {file}"):
            with_checkpoint(config, given=values_of_file(file), file=str(file))
    missing = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
    with pytest.raises(CheckpointError, match="holds no finished checkpoint"):
        with_checkpoint(missing, given=())
