"""Tests that a process opens the folder of a checkpoint once, and hands on what it found."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.learner_state import initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, open_start
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from support.small_policy import configure, save_openpi


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> collections.Counter[Path]:
    """Counts how often each folder is opened since the fixture was made."""
    counts: collections.Counter[Path] = collections.Counter()
    open_folder = Checkpoint.open

    def count(path: Path) -> Checkpoint:
        checkpoint = open_folder(path)
        counts[checkpoint.root.resolve()] += 1
        return checkpoint

    monkeypatch.setattr(Checkpoint, "open", count)
    return counts


def test_a_resumed_training_opens_each_folder_once(
    tmp_path: Path, opened: collections.Counter[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings, the learner and the actor need the newest checkpoint. The reference is the run's first one."""
    imitation = save_openpi(tmp_path / "imitation")
    run = {"pretrained_checkpoint_path": str(imitation)}
    config = configure(tmp_path, run=run, cameras=PRESETS["debug"].model.cameras)
    newest = Learner.start(config).checkpoint.root
    assert opened == {imitation.resolve(): 1, newest.resolve(): 1}
    opened.clear()

    def end_before_the_first_rollout(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "RolloutWorker", end_before_the_first_rollout)
    places = ["--exp_name", "debug", "--checkpoint_root", str(tmp_path / "checkpoints"), "--run_dir", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        train.main([*places, "--no_wandb", "--resume", "--ref_kl_coef", "0.1"])
    assert opened == {imitation.resolve(): 1, newest.resolve(): 1}


def test_there_is_no_checkpoint_before_the_first_save(tmp_path: Path) -> None:
    start = open_start(configure(tmp_path).run)
    assert start == NoCheckpoint()
    with pytest.raises(CheckpointError, match="must name a checkpoint to start from, got fresh weights"):
        start.require()
    config = configure(tmp_path, run={"pretrained_checkpoint_path": str(save_openpi(tmp_path / "imitation"))})
    learner = Learner(config, initial_state(config, open_start(config.run)))
    with pytest.raises(RuntimeError, match="must be saved before its checkpoint is used"):
        _ = learner.checkpoint
