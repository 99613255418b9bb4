"""Tests that a start that fails leaves no folder, so that the corrected command works, and what is no failed start."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import FRESH_UNASKED, CheckpointError, ContradictedCheckpoint, MissingCheckpoint
from chunk_ppo_ros.core.folders import removed_after_failure
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.runtime import graph
from support.small_policy import configure, make_params, make_tokenizer, rewrite_json, save_openpi, save_own


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an imitation with its settings: 4 steps a chunk, kinematic simulator."""
    folder = tmp_path_factory.mktemp("imitation")
    return save_openpi_checkpoint(
        folder / "cup-imitation",
        make_params()["actor_backbone"],
        write_assets=lambda assets: make_tokenizer().save(assets),
        settings=RunSettings.of(configure(folder, cameras=tuple(ROBOT_CAMERAS))),
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def places(folder: Path) -> list[str]:
    return ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "kept" / "all")]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--pretrained_checkpoint_path", "no/where"], "checkpoint no/where must be a folder, got none of that name"),
        (["--pretrained_checkpoint_path", "IMITATION", "--action_horizon", "8"], "model.action_horizon 4 -> 8"),
        (["--pretrained_checkpoint_path", "IMITATION", "--no_delta_actions"], "model.delta_actions True -> False"),
        (["--pretrained_checkpoint_path", "IMITATION", "--prompt", "put the cup on " * 9], "prompt must be at most 28"),
        (["--tokenizer_dir", "no/tokenizers"], "no/tokenizers"),
        (["--task", "juggle"], "juggle"),
        (["--resume"], "holds no finished checkpoint to resume from"),
        (
            ["--cameras", "base_0_rgb", "--pretrained_checkpoint_path", "IMITATION", "--ref_kl_coef", "-1"],
            "ref_kl_coef",
        ),
    ],
)
def test_a_training_that_cannot_start_leaves_nothing(
    flags: list[str], text: str, imitation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(imitation) if flag == "IMITATION" else flag for flag in flags]
    try:
        status = main(["train", "--config", "debug", "--exp_name", "a/cup", "--no_wandb", *places(tmp_path), *given])
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    assert status == 2
    printed = capsys.readouterr().err
    assert text in printed
    assert "Traceback" not in printed
    assert files(tmp_path) == []


def test_a_failure_after_the_first_checkpoint_leaves_nothing_and_the_corrected_start_works(
    imitation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        assert files(tmp_path / "kept" / "all" / "cup")  # The first checkpoint is there already.
        raise ValueError("the first chunk cannot be sampled")

    monkeypatch.setattr(train, "RolloutWorker", broken)
    flags = ["--exp_name", "cup", "--no_wandb", *places(tmp_path), "--pretrained_checkpoint_path", str(imitation)]
    for _ in range(2):
        with pytest.raises(ValueError, match="the first chunk cannot be sampled"):
            train.main(flags)
        assert files(tmp_path) == []


def test_what_was_there_before_stays(imitation: Path, tmp_path: Path) -> None:
    save_own(tmp_path / "kept" / "all" / "cup", step=0)
    (tmp_path / "runs" / "cup").mkdir(parents=True)
    (tmp_path / "runs" / "cup" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(CheckpointError, match="already holds step_0 of an earlier run"):
        train.main(
            ["--exp_name", "cup", "--no_wandb", *places(tmp_path), "--pretrained_checkpoint_path", str(imitation)]
        )
    assert files(tmp_path) == before


def test_a_run_that_has_trained_stays_and_so_does_one_that_is_stopped(
    imitation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(setup: TrainingSetup, env: object) -> None:
        (setup.config.run.folder / "metrics.jsonl").touch()
        save_own(setup.config.run.checkpoint_folder, step=3)
        raise ValueError("the disk is full")

    def stopped(setup: TrainingSetup, env: object) -> None:
        (setup.config.run.folder / "metrics.jsonl").touch()
        save_own(setup.config.run.checkpoint_folder, step=0)
        raise KeyboardInterrupt

    for number, (fake, error) in enumerate(((trained, ValueError), (stopped, KeyboardInterrupt))):
        monkeypatch.setattr(train, "train", fake)
        with pytest.raises(error):
            train.main(["--exp_name", f"cup{number}", "--no_wandb", *places(tmp_path)])
        assert (tmp_path / "kept" / "all" / f"cup{number}").is_dir()
        assert (tmp_path / "runs" / f"cup{number}" / "metrics.jsonl").is_file()
    told = capsys.readouterr().err
    assert f"the newest checkpoint is {tmp_path / 'kept' / 'all' / 'cup1' / 'step_0'}; the same command with" in told
    assert "cup0" not in told  # An error says by itself what is to be done.


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--episodes", "no/episodes"], "no/episodes"),
        (["--episodes", "no/episodes", "--pretrained_checkpoint_path", "no/where"], "no/where must be a folder"),
        (["--task", "juggle"], "juggle"),
        (["--prompt", "put the cup on " * 9, "--num_demonstrations", "2"], "prompt must be at most 28"),
    ],
)
def test_an_imitation_that_cannot_start_leaves_nothing(
    flags: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", "--config", "debug", "--exp_name", "cup", *places(tmp_path), *flags]) == 2
    assert text in capsys.readouterr().err
    assert files(tmp_path) == []


def test_only_new_files_and_folders_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "a" / "b"
    (old / "sub").mkdir(parents=True)

    def work() -> None:
        (old / "step_0").mkdir()
        (old / "line.txt").write_text("new")
        (old / "link").symlink_to(old / "sub")
        (new / "deep").mkdir(parents=True)
        (tmp_path / "a" / "of another").mkdir()
        raise ValueError("in vain")

    with pytest.raises(ValueError, match="in vain"), removed_after_failure(old, new):
        work()
    assert files(tmp_path) == ["a", "a/of another", "old", "old/sub"]


# The tests below check which start falls back to fresh weights, and what the training says and returns then.


def damaged(folder: Path) -> Path:
    """Returns an openpi checkpoint whose statistics are cut off."""
    path = save_openpi(folder / "damaged")
    (path / "assets" / "trossen" / "norm_stats.json").write_text('{"norm_')
    return path


def falling_back(tmp_path: Path, start: Path, **run: Any) -> Any:
    make_tokenizer().save(tmp_path / "tokenizers")
    places = {"tokenizer_dir": str(tmp_path / "tokenizers"), "pretrained_checkpoint_path": str(start)}
    return configure(tmp_path, run={**places, **run})


def test_a_checkpoint_that_is_there_and_cannot_be_loaded_falls_back_and_a_path_that_is_not_there_does_not(
    tmp_path: Path,
) -> None:
    for number, missing in enumerate((tmp_path / "nowhere", save_own(tmp_path / "run", step=3).parent)):
        config = falling_back(tmp_path, missing, exp_name=f"missing{number}")
        with pytest.raises(MissingCheckpoint, match=r"nowhere must be a folder|name one of them, such as .*step_3"):
            Learner.start(config)
    longer = falling_back(tmp_path, save_own(tmp_path / "run", step=4), exp_name="longer")
    longer = dataclasses.replace(longer, model=dataclasses.replace(longer.model, action_horizon=8))
    with pytest.raises(ContradictedCheckpoint, match="model.action_horizon: checkpoint 4, configuration 8"):
        Learner.start(longer)
    config = falling_back(tmp_path, damaged(tmp_path))
    assert Learner.start(config).provenance.is_fallback
    robot = dataclasses.replace(config, env=dataclasses.replace(config.env, simulator="none"))
    with pytest.raises(CheckpointError, match="norm_stats.json cannot be used"):
        Learner.start(dataclasses.replace(robot, run=dataclasses.replace(robot.run, exp_name="robot")))


def test_a_training_from_weights_that_nobody_asked_for_says_so_again_and_has_a_status_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = iter((falling_back(tmp_path, damaged(tmp_path)), falling_back(tmp_path, Path(), exp_name="asked")))

    def quick(setup: TrainingSetup, env: object) -> Checkpoint:
        """Ends a training at its first checkpoint."""
        config = next(configs)
        start = NoCheckpoint() if config.run.exp_name == "asked" else None
        return Learner.start(config, start).checkpoint

    monkeypatch.setattr(train, "train", quick)
    flags = ["train", "--exp_name", "cup", "--no_wandb", *places(tmp_path)]
    assert main(flags) == FRESH_UNASKED == 3
    first, last = capsys.readouterr().err.split("!! ")[1:]
    assert first.startswith("fresh weights, because ")
    assert last.startswith("it was trained from fresh weights, because ")
    assert main(flags) == 0
    assert "!!" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "graph"])
def test_a_run_that_is_done_says_so_at_once_and_how_it_goes_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, name in ((train, "simulated"), (Learner, "start"), (graph, "Supervisor")):
        monkeypatch.setattr(module, name, pytest.fail)
    path = save_own(tmp_path / "kept" / "all" / "cup", step=3)
    rewrite_json(path / "metadata.json", lambda content: content["counters"].update(num_steps=5024))
    before = files(tmp_path)
    flags = ["--exp_name", "cup", *places(tmp_path), "--resume"]
    for total, code in (("5000", 0), ("5024", 0)):
        assert main([command, *flags, "--total_timesteps", total]) == code
        *_, done, newest = capsys.readouterr().out.splitlines()
        assert "is done: it has trained on 5024 control steps of ppo.total_timesteps" in done
        assert done.endswith(f"{total}; raise --total_timesteps to go on")
        assert newest == f"the newest checkpoint is {path}"
    assert files(tmp_path) == before
    fallback = {"kind": "scratch", "path": "no/where", "is_fallback": True, "reason": "it is missing", "notes": []}
    rewrite_json(path / "metadata.json", lambda content: content["provenance"].update(fallback))
    assert main([command, *flags, "--total_timesteps", "5000"]) == FRESH_UNASKED
    assert "!! it was trained from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--resume"], "holds no finished checkpoint to resume from"),
        (["--pretrained_checkpoint_path", "no/where"], "checkpoint no/where must be a folder, got none of that name"),
        (["--task", "juggle"], "juggle"),
        (["--domain_id", "400"], "the ROS domain must be within 0..232, got 400"),
        (["--namespace", "7"], "namespace must be made of letters"),
        (["--discovery", "static_peers"], "static_peers must be given exactly with discovery static_peers"),
        (["--checkpoint_root", "FILE"], "run.checkpoint_root must be in a folder that can be written"),
    ],
)
def test_a_graph_that_is_refused_leaves_nothing(
    flags: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(graph, "Supervisor", pytest.fail)
    (tmp_path / "file").touch()
    given = [str(tmp_path / "file") if flag == "FILE" else flag for flag in flags]
    try:
        status = main(["graph", "--exp_name", "a/cup", *places(tmp_path), *given])
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    assert status == 2
    assert text in capsys.readouterr().err
    assert files(tmp_path) == ["file"]


LOGS = ["runs", "runs/cup", "runs/cup/logs", "runs/cup/params.yaml"]
"""What says why a graph has failed."""


@pytest.mark.parametrize(
    ("status", "before", "left", "removed"),
    [
        (2, [], LOGS, "kept/all/cup"),  # A node has refused its settings.
        (2, ["runs/cup/notes"], [*LOGS[:3], "runs/cup/notes", LOGS[3]], "kept/all/cup"),
        (1, [], LOGS, "kept/all/cup"),
        (1, ["kept/all/cup/notes"], ["kept", "kept/all", "kept/all/cup", "kept/all/cup/notes", *LOGS], "cup/step_0"),
        (130, [], ["kept", "kept/all", "kept/all/cup", "kept/all/cup/step_0", *LOGS], ""),
    ],
)
def test_a_graph_that_failed_at_its_start_leaves_its_logs_and_says_what_it_removed(
    status: int,
    before: list[str],
    left: list[str],
    removed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing:
        def __init__(self, graph: graph.Graph, **_: object) -> None:
            (graph.run_dir / "logs").mkdir()
            (tmp_path / "kept" / "all" / "cup" / "step_0").mkdir(parents=True)

        def run(self) -> int:
            return status

    monkeypatch.setattr(graph, "Supervisor", Failing)
    for folder in before:
        (tmp_path / folder).mkdir(parents=True)
    assert main(["graph", "--exp_name", "cup", *places(tmp_path)]) == status
    assert files(tmp_path) == left
    printed = capsys.readouterr().out
    assert (f"{removed}; the same name may be used again" in printed) == bool(removed)
    assert (f"the logs of the nodes stay in {tmp_path / 'runs' / 'cup' / 'logs'}" in printed) == bool(removed)
