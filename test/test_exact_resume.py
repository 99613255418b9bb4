"""Tests that a run that is killed and resumed after any update has the same bits as one that was not."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.learner_state import initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import open_start
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.tree_digest import tree_digest
from chunk_ppo_ros.model.checkpoints import atomic_folder, version_saver
from support import small_policy
from support.rollouts import sampled_rollout

NUM_CHUNKS, NUM_UPDATES = 4, 2


def configure(folder: Path, *, resume: bool = False) -> TrainConfig:
    """Returns a configuration in which every kind of state changes with an update.

    These are weights, the moments of the optimizer, the scale of its rate, and the statistics and network of novelty.
    """
    imitated = folder.parent / "imitated"
    if not imitated.exists():
        small_policy.save_openpi(imitated)
    run = {"pretrained_checkpoint_path": str(imitated), "resume": resume, "on_load_failure": "fail"}
    config = small_policy.configure(folder, run=run)
    ppo = dataclasses.replace(
        config.ppo, num_chunks_per_update=NUM_CHUNKS, batch_size=2, critic_warmup_updates=1, ref_kl_coef=0.1
    )
    reward = dataclasses.replace(config.reward, novelty_weight=0.5)
    run_config = dataclasses.replace(config.run, keep_checkpoints=NUM_UPDATES + 1)
    return dataclasses.replace(config, ppo=ppo, reward=reward, run=run_config)


def train(folder: Path, *, interrupted: bool) -> Learner:
    """Makes the updates. Where `interrupted`, each is made by a learner that was read from the disk."""
    learner = Learner.start(configure(folder))
    for _ in range(NUM_UPDATES):
        if interrupted:
            learner = Learner.start(configure(folder, resume=True))
        learner.update(sampled_rollout(learner, configure(folder)))
        learner.save()
    return learner


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Returns the learner of a run that was never interrupted."""
    return train(tmp_path_factory.mktemp("whole") / "run", interrupted=False)


def test_a_run_that_is_resumed_after_each_update_has_the_same_bits(whole: Learner, tmp_path: Path) -> None:
    parts = train(tmp_path / "parts", interrupted=True)
    assert whole.state[-1] is not None  # the state of novelty
    assert tree_digest(parts.state) == tree_digest(whole.state)
    again = Learner.start(configure(tmp_path / "parts", resume=True))
    assert tree_digest(again.state) == tree_digest(whole.state)
    assert dataclasses.replace(parts.counters, run_id="") == dataclasses.replace(whole.counters, run_id="")
    assert parts.consumed == whole.consumed
    updates = {version: list(manifest.chunks) for version, manifest in parts.consumed.updates.items()}
    assert updates == {
        version: [("robot_0", number) for number in range((version - 1) * NUM_CHUNKS, version * NUM_CHUNKS)]
        for version in range(1, NUM_UPDATES + 1)
    }


def copied(learner: Learner, folder: Path) -> Path:
    """Copies the checkpoints of a run, and returns the folder to configure it in."""
    checkpoints = learner.checkpoint.root.parent
    shutil.copytree(checkpoints, folder / "run" / "checkpoints" / checkpoints.name)
    return folder / "run"


def test_a_run_that_goes_back_to_an_earlier_checkpoint_has_not_trained_on_what_came_after(
    whole: Learner, tmp_path: Path
) -> None:
    assert len(whole.consumed.chunks) == NUM_UPDATES * NUM_CHUNKS
    folder = copied(whole, tmp_path)
    shutil.rmtree(folder / "checkpoints" / whole.checkpoint.root.parent.name / f"step_{NUM_UPDATES}")
    back = Learner.start(configure(folder, resume=True))
    assert back.policy_version == NUM_UPDATES - 1
    assert list(back.consumed.chunks) == [("robot_0", number) for number in range((NUM_UPDATES - 1) * NUM_CHUNKS)]
    assert list(back.consumed.updates) == list(range(1, NUM_UPDATES))


def test_a_checkpoint_whose_record_was_changed_is_not_resumed(whole: Learner, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    file = folder / "checkpoints" / whole.checkpoint.root.parent.name / f"step_{NUM_UPDATES}" / "consumed.json"
    file.write_text(file.read_text().replace("robot_0", "robot_1"))
    with pytest.raises(CheckpointError, match=r"consumed\.json was changed since it was written"):
        Learner.start(configure(folder, resume=True))


def test_a_version_whose_checkpoint_was_written_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(directory: Path, *, keep: int, in_use: Path) -> None:
        raise OSError("the old checkpoint cannot be removed")

    config = configure(tmp_path / "run")
    learner = Learner(config, initial_state(config, open_start(config.run)))
    with monkeypatch.context() as broken:
        broken.setattr(version_saver, "remove_old_checkpoints", fail)
        with pytest.raises(OSError, match="cannot be removed"):
            learner.save()
    assert learner.save().root.name == "step_0"


def test_a_checkpoint_whose_name_is_not_on_the_disk_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError("the disk fails")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail)
        with pytest.raises(CheckpointError, match="the disk fails"):
            atomic_folder.write_atomically(tmp_path / "step_1", lambda folder: None)
    assert list(tmp_path.iterdir()) == []
    assert atomic_folder.write_atomically(tmp_path / "step_1", lambda folder: None).is_dir()
