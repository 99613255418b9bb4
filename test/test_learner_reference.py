"""Tests that a resumed run keeps the reference policy and the scale of its learning rate."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start import learner_state
from chunk_ppo_ros.agent.run_start.learner_state import LearnerState
from chunk_ppo_ros.agent.run_start.starting_checkpoint import open_start
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.rl.optimizer import LR_SCALE
from support import small_policy


def configure(folder: Path, imitated: Path | str, *, resume: bool = False) -> TrainConfig:
    run = {"pretrained_checkpoint_path": str(imitated), "resume": resume, "on_load_failure": "fail"}
    config = small_policy.configure(folder, run=run)
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, ref_kl_coef=0.1))


def initial_state(config: TrainConfig) -> LearnerState:
    return learner_state.initial_state(config, open_start(config.run))


def assert_is_the_imitation(actor: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, actor, small_policy.make_params()["actor_backbone"])


def save_changed(config: TrainConfig, state: LearnerState) -> Any:
    """Saves a next version with other weights and another scale of the rate, as updates would make them.

    Returns the weights.
    """
    params = jax.tree.map(lambda leaf: leaf + 1.0, state.policy.params)
    changed = dataclasses.replace(
        state,
        policy=dataclasses.replace(state.policy, params=params),
        opt_state={**state.opt_state, LR_SCALE: jnp.float32(0.25)},
        counters=dataclasses.replace(state.counters, policy_version=1),
    )
    Learner(config, changed).save()
    return params


def test_the_reference_and_the_scale_of_the_rate_survive_a_resume(tmp_path: Path) -> None:
    imitated = small_policy.save_openpi(tmp_path / "imitated")
    config = configure(tmp_path, imitated)
    first = initial_state(config)
    assert_is_the_imitation(first.reference)
    params = save_changed(config, first)
    resumed = initial_state(configure(tmp_path, "", resume=True))  # where it started from is in the metadata
    assert resumed.counters.policy_version == 1
    assert_is_the_imitation(resumed.reference)
    jax.tree.map(np.testing.assert_array_equal, resumed.policy.params, params)
    assert resumed.opt_state[LR_SCALE] == 0.25
    shutil.rmtree(imitated)
    with pytest.raises(CheckpointError, match="imitated must be a folder, got none of that name"):
        Learner.start(configure(tmp_path, "", resume=True))


def test_a_run_that_began_with_a_relative_path_is_resumed_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_policy.save_openpi(tmp_path / "imitated")
    monkeypatch.chdir(tmp_path)
    Learner.start(configure(tmp_path, "imitated"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert_is_the_imitation(initial_state(configure(tmp_path, "", resume=True)).reference)


def test_fresh_weights_are_no_reference(tmp_path: Path) -> None:
    small_policy.make_tokenizer().save(tmp_path / "tokenizers")
    config = configure(tmp_path, "")
    config = dataclasses.replace(
        config, run=dataclasses.replace(config.run, tokenizer_dir=str(tmp_path / "tokenizers"))
    )
    with pytest.raises(CheckpointError, match=r"ppo.ref_kl_coef must be 0 .* fresh weights, got 0.1"):
        Learner.start(config)
    assert not (tmp_path / "checkpoints").exists()
