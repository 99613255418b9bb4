"""Tests `deploy` and `evaluate --graph`: what is refused before a node starts, and a graph that acts as one process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.evaluation.deployment import setup
from chunk_ppo_ros.evaluation.evaluate import evaluate_checkpoint
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.nodes.policy.actor_store import ActorStore, make_deployed_actor
from support import small_policy
from support.patience import PATIENCE

ROOT = Path(__file__).parents[1]


def small_config(folder: Path) -> TrainConfig:
    """Returns the settings of a run of the small policy on the kinematic simulator."""
    config = small_policy.configure(folder, cameras=tuple(ROBOT_CAMERAS))
    env = dataclasses.replace(config.env, simulator="kinematic", max_episode_chunks=3)
    return dataclasses.replace(config, env=env)


def save_small(folder: Path, name: str) -> Path:
    """Saves the small policy, whose chunks begin where the robot is, and returns the checkpoint."""
    return small_policy.save_own(
        folder / name, config=small_config(folder), tokenizer=small_policy.make_gentle_tokenizer()
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("deployed"), "a")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["deploy", "nowhere"], "checkpoint nowhere must be a folder, got none of that name"),
        (["deploy", "CHECKPOINT", "--action_horizon", "8"], "model.action_horizon: checkpoint 4, configuration 8"),
        (["deploy", "CHECKPOINT", "--params_file", "nope.yaml"], "configuration file must exist, got nope.yaml"),
        (["deploy", "CHECKPOINT", "--resume"], "--exp_name must name the run to go on with, got none"),
        (["deploy", "CHECKPOINT", "--exp_name", "new", "--resume"], "must hold a run without a trainer to go on with"),
        (["deploy", "CHECKPOINT", "--exp_name", "taken"], "the folder of the run must be new or empty"),
        (["deploy", "CHECKPOINT", "--prompt", "reach " * 60], "prompt must be at most"),
        (["evaluate", "CHECKPOINT", "CHECKPOINT"], "--graph must be given with"),
        (
            ["evaluate", "CHECKPOINT", "--record"],
            "--graph must be given with --record, got none; add --graph, or leave out --record",
        ),
        (["evaluate", "CHECKPOINT", "nowhere", "--graph"], "checkpoint nowhere must be a folder"),
    ],
)
def test_what_cannot_act_is_refused_in_one_line_before_a_node_starts(
    arguments: list[str], text: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "metrics.jsonl").touch()
    given = [str(checkpoint) if argument == "CHECKPOINT" else argument for argument in arguments]
    try:
        status = main([*given, "--run_dir", str(tmp_path)])
    except SystemExit as error:
        status = int(error.code or 0)
    first, *usage = capsys.readouterr().err.splitlines()
    assert status == 2
    assert text in first and all(line.startswith("usage: ") for line in usage)
    assert not (tmp_path / "new").exists()


def test_damaged_arrays_are_found_before_a_node_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = save_small(tmp_path, "a")
    files = [path for path in (damaged / "params").rglob("*") if path.is_file()]
    array = max(files, key=lambda path: path.stat().st_size)
    array.write_bytes(array.read_bytes()[:-1])
    assert main(["deploy", str(damaged), "--run_dir", str(tmp_path / "runs")]) == 2
    assert str(damaged) in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_robot_is_that_of_the_parameter_file_and_the_policy_that_of_the_checkpoint(
    checkpoint: Path, tmp_path: Path
) -> None:
    robot = str(ROOT / "config" / "robot.yaml")
    config = setup.config_from_arguments([str(checkpoint), "--params_file", robot, "--run_dir", str(tmp_path)])
    assert (config.env.simulator, config.env.realtime, config.robot.backend) == ("none", True, "interbotix")
    assert (config.env.max_episode_chunks, config.model.image_size, config.model.adapt_to_pi) == (3, 32, False)
    assert config.deploy.checkpoints == (str(checkpoint),)
    simulated = setup.config_from_arguments([str(checkpoint), "--run_dir", str(tmp_path), "--episodes", "5"])
    assert (simulated.env.simulator, simulated.deploy.num_episodes) == ("kinematic", 5)
    assert simulated.robot == PRESETS["debug"].robot


def test_a_checkpoint_without_a_value_head_acts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    openpi = small_policy.save_openpi(tmp_path / "openpi")
    config = small_config(tmp_path)
    assert restore.check(Checkpoint.open(openpi), config) == ("the value head is fresh",)
    shape = dataclasses.replace(config, model=dataclasses.replace(config.model, max_token_len=80))
    assert restore.check(Checkpoint.open(openpi), shape)  # It is no size of a parameter.
    sizes = dataclasses.replace(config, model=dataclasses.replace(config.model, patch_size=8))
    with pytest.raises(CheckpointError, match="must have the arrays of the configuration"):
        restore.check(Checkpoint.open(openpi), sizes)


def test_two_deployed_checkpoints_have_an_actor_each_which_is_made_once(checkpoint: Path, tmp_path: Path) -> None:
    other = save_small(tmp_path, "b")
    config = small_config(tmp_path)
    deploy = dataclasses.replace(config.deploy, checkpoints=(str(checkpoint), str(other)))
    store = ActorStore(dataclasses.replace(config, deploy=deploy))
    first = store.actor_of(checkpoint, policy_version=3)
    second = store.actor_of(other, policy_version=4)
    assert first is not second and first.greedy and second.greedy
    assert store.actor_of(checkpoint, policy_version=5) is first
    assert (first.policy_version, second.policy_version) == (5, 4)
    sampling = dataclasses.replace(config, deploy=dataclasses.replace(deploy, decoding="sample"))
    assert not make_deployed_actor(sampling, checkpoint).greedy


def command(checkpoint: Path, folder: Path, *flags: str) -> list[str]:
    return [
        *(sys.executable, "-m", "chunk_ppo_ros", "evaluate", str(checkpoint), "--graph", "--greedy"),
        *("--run_dir", str(folder), "--exp_name", "one", *flags),
    ]


def lines(folder: Path) -> list[dict[str, object]]:
    path = folder / "one" / "episodes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.graph
@pytest.mark.slow
def test_the_graph_does_what_one_process_does_and_goes_on_after_ctrl_c(
    checkpoint: Path, tmp_path: Path, repository: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": str(repository)}
    with subprocess.Popen(
        command(checkpoint, tmp_path, "--episodes", "1000"), env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120.0
        while len(lines(tmp_path)) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "95 % intervals" in output and "--exp_name one --resume" in output
    kept = lines(tmp_path)
    goes_on = command(checkpoint, tmp_path, "--episodes", str(len(kept) + 2), "--resume")
    subprocess.run(goes_on, env=environment, check=True, timeout=150.0)
    recorded = lines(tmp_path)
    assert recorded[: len(kept)] == kept
    # The episode that Ctrl-C cut is recorded at the next start, and does not count.
    cut = [line for line in recorded if not line["counts"]]
    assert [line["outcome"] for line in cut] in ([], ["NONE"])
    played = [line for line in recorded if line["counts"]]
    assert len(played) == len(kept) + 2
    numbers = [int(str(line["episode"])) for line in played]
    config = small_config(tmp_path)
    config = dataclasses.replace(config, robot=PRESETS["debug"].robot)
    alone = evaluate_checkpoint(Checkpoint.open(checkpoint), config, episodes=max(numbers) + 1, greedy=True)
    assert [line["outcome"] == "SUCCESS" for line in played] == alone.success[numbers].tolist()
    assert [line["num_chunks"] for line in played] == alone.num_chunks[numbers].tolist()
    np.testing.assert_allclose([line["reward"] for line in played], alone.reward[numbers], atol=1e-5)
