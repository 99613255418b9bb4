"""Tests a learner of which a part is frozen: what it trains, keeps and resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from support import small_policy
from support.rollouts import sampled_rollout

NUM_CHUNKS = 4


def configure(folder: Path, *, resume: bool = False, **ppo: Any) -> TrainConfig:
    """Returns a configuration with adapters that starts from an imitation without, with rollouts of four chunks."""
    imitated = folder / "imitated"
    if not imitated.exists():
        small_policy.save_openpi(imitated)
    run = {"pretrained_checkpoint_path": str(imitated), "resume": resume, "on_load_failure": "fail"}
    config = small_policy.configure(folder, run=run, lora_rank=2)
    settings = {"num_chunks_per_update": NUM_CHUNKS, "batch_size": 2, "freeze_image_tower": True, **ppo}
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, **settings))


def leaves(tree: Any) -> dict[str, np.ndarray]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.array(leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a run that made one update with the image tower frozen and saved it."""
    folder = tmp_path_factory.mktemp("run")
    config = configure(folder)
    learner = Learner.start(config)
    figures = learner.update(sampled_rollout(learner, config))
    assert figures["logp_gap/max_ratio"] <= 1e-3
    learner.save()
    return folder


def stored(folder: Path, step: int) -> dict[str, np.ndarray]:
    path = folder / "checkpoints" / "debug" / f"step_{step}" / "params"
    return leaves(Checkpoint.open(path.parent).load_leaves(expected(folder)))


def expected(folder: Path) -> Any:
    policy = small_policy.make_policy(configure(folder).model)
    return jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))


def test_only_adapters_and_value_head_are_changed_on_disk(folder: Path) -> None:
    before, after = stored(folder, 0), stored(folder, 1)
    changed = {name for name, leaf in after.items() if not np.array_equal(leaf, before[name])}
    adapters = {name for name in after if name.endswith("lora_b")}  # fresh ones: A has no gradient while B is zero
    assert adapters <= changed
    assert all("lora_" in name or name.startswith("value_head/") for name in changed)


def test_metadata_tells_what_was_frozen(folder: Path) -> None:
    metadata = Checkpoint.open(folder / "checkpoints" / "debug" / "step_1").require_metadata()
    assert metadata.frozen == FrozenTowers(freeze_image_tower=True, freeze_text_tower=False)


def test_a_resumed_run_goes_on(folder: Path) -> None:
    config = configure(folder, resume=True)
    learner = Learner.start(config)
    assert learner.policy_version == 1
    assert learner.update(sampled_rollout(learner, config))["grad_norm/actor"] > 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_image_tower": False}, "ppo.freeze_image_tower: checkpoint True, configuration False;"),
        ({"freeze_text_tower": True}, "ppo.freeze_text_tower: checkpoint False, configuration True;"),
    ],
)
def test_to_resume_with_other_towers_frozen_is_refused(folder: Path, settings: dict[str, bool], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Learner.start(configure(folder, resume=True, **settings))


def test_with_both_towers_frozen_the_values_learn(tmp_path: Path) -> None:
    config = configure(tmp_path, freeze_text_tower=True)
    learner = Learner.start(config)
    figures = learner.update(sampled_rollout(learner, config))
    learner.save()
    before, after = stored(tmp_path, 0), stored(tmp_path, 1)
    changed = {name for name, leaf in after.items() if not np.array_equal(leaf, before[name])}
    assert changed and all(name.startswith("value_head/") for name in changed)
    assert figures["grad_norm/actor"] == 0.0
    assert figures["grad_norm/value"] > 0.0
