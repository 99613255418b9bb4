"""Tests a policy of another robot, with 8 numbers of state and 7 of action, through every command that takes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from support.lerobot_sets import LeRobotSet
from support.small_policy import MODEL, configure

SIZES = ("image_size", "patch_size", "max_token_len", "vocab_size", "action_horizon")
FLAGS = [
    *[text for name in SIZES for text in (f"--{name}", str(getattr(MODEL, name)))],
    *["--max_token_len", "140", "--max_action_tokens", "80", "--action_dim", "7", "--cameras", "base_0_rgb"],
    *["--tower_sizes", *MODEL.tower_sizes, "--no_delta_actions", "--no_adapt_to_pi"],
]


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Returns an imitation of three recorded episodes, and the flags that name them."""
    folder = tmp_path_factory.mktemp("libero")
    recorded = LeRobotSet(lengths=(8, 8, 8), size=(8, 7)).write(folder / "recorded")
    episodes = ["--episodes", str(recorded), "--recorded_rate", "50"]
    places = ["--exp_name", "libero", "--checkpoint_root", str(folder / "checkpoints")]
    few = ["--bc_steps", "2", "--bc_batch_size", "2", "--insist", "clipped_actions"]
    assert main(["pretrain", *episodes, *FLAGS, *places, *few]) == 0
    return folder / "checkpoints" / "libero-imitation", episodes


def test_it_is_loaded_and_measured_on_its_own_recordings(
    imitation: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, episodes = imitation
    config = configure(tmp_path, action_dim=7, delta_actions=False, max_token_len=140, max_action_tokens=80)
    stats = restore.load(Checkpoint.open(path), config).tokenizer.norm_stats
    assert (stats.state.dim, stats.actions.dim) == (8, 7)
    assert main(["positions", str(path), *episodes]) == 0
    assert "over 3 demonstrations" in capsys.readouterr().out
    assert main(["export", str(path), str(tmp_path / "export")]) == 0


@pytest.mark.parametrize("command", ["evaluate", "train", "positions"])
def test_the_simulator_refuses_it_in_one_line(
    imitation: tuple[Path, list[str]], tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = imitation[0], tmp_path / "new"
    given = [str(path)]
    if command == "train":
        given = ["--pretrained_checkpoint_path", str(path), "--run_dir", str(new), "--checkpoint_root", str(new)]
    assert main([command, *given, "--config", "debug", "--simulator", "kinematic"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"chunk_ppo {command}: ") and " must " in error and "14" in error
    assert "measure a policy of another robot on its own recordings: measure-imitation and positions" in error
    assert not new.exists() or not [file for file in new.rglob("*") if file.is_file()]
