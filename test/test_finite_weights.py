"""Tests that no command takes weights that are not finite: each load refuses them and names the array."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import BrokenWeights, CheckpointError
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.checkpoints import orbax_trees
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_checkpoint, save_openpi_checkpoint
from support.recordings import write_hdf5
from support.small_policy import MODEL, configure, make_params, make_tokenizer, save_openpi, save_own

LEAF = "PaliGemma/llm/embedder/input_embedding"
CAMERAS = tuple(ROBOT_CAMERAS)
INSIST = ["--insist", "lag", "gripper_direction", "clipped_actions"]  # The episode is noise.


def with_number(params: Any, leaf: str, number: float) -> Any:
    """Returns parameters with one number in a leaf replaced."""
    leaves = name_leaves(params)
    assert leaf in leaves
    changed = {name: np.array(array) for name, array in leaves.items()}
    changed[leaf].reshape(-1)[-1] = number
    return jax.tree.unflatten(jax.tree.structure(params), [changed[name] for name in leaves])


def save_with(directory: Path, number: float) -> Path:
    """Saves an openpi checkpoint with settings, tokenizers and one changed number. Its checksums fit."""
    model = dataclasses.replace(MODEL, cameras=CAMERAS)
    return save_openpi_checkpoint(
        directory,
        with_number(make_params(model)["actor_backbone"], LEAF, number),
        write_assets=lambda assets: make_tokenizer().save(assets),
        settings=RunSettings.of(configure(directory, cameras=CAMERAS)),
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("verified", [True, False])
def test_a_tree_with_a_number_that_is_not_finite_is_refused(
    tmp_path: Path, number: float, dtype: str, verified: bool
) -> None:
    tree = {"a": jnp.array([1.0, number, 2.0, number]).astype(dtype), "b": jnp.ones(2), "count": jnp.arange(3)}
    orbax_trees.save_tree(tmp_path / "params", tree)
    with pytest.raises(CheckpointError, match="numbers alone, but 2 of 4 in a are NaN or infinite; its training"):
        orbax_trees.load_tree(tmp_path / "params", tree, names={name: name for name in tree}, verified=verified)


def test_the_largest_finite_numbers_whole_numbers_and_arrays_without_numbers_load(tmp_path: Path) -> None:
    """An absurd number is finite. Nobody can tell it from one that was trained."""
    large = jnp.array([np.finfo(np.float32).max, np.finfo(np.float32).tiny, -0.0], jnp.float32)
    tree = {"large": large, "count": jnp.arange(3), "flag": jnp.array([True]), "number": jnp.ones(())}
    orbax_trees.save_tree(tmp_path / "params", tree)
    loaded = orbax_trees.load_tree(tmp_path / "params", tree, names={name: name for name in tree})
    jax.tree.map(np.testing.assert_array_equal, loaded, tree)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
def test_quantized_weights_are_not_taken_for_numbers(tmp_path: Path, dtype: str) -> None:
    orbax_trees.save_tree(tmp_path / "params", {"a": jnp.ones(4).astype(dtype), "b": jnp.ones(2)})
    expected = {"a": jnp.ones(4), "b": jnp.ones(2)}
    with pytest.raises(CheckpointError, match=f"must have floating-point numbers in a, got {dtype}; quantized"):
        orbax_trees.load_tree(tmp_path / "params", expected, names={"a": "a", "b": "b"})


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("export", ["NEW"]),
        ("evaluate", ["--simulator", "kinematic", "--episodes", "2"]),
        ("positions", ["--simulator", "kinematic"]),
        ("train", ["--simulator", "kinematic", "--run_dir", "NEW", "--checkpoint_root", "NEW"]),
        ("pretrain", ["--episodes", "RECORDED", "--checkpoint_root", "NEW", "--prompt", "reach", *INSIST]),
        ("measure-imitation", ["--episodes", "RECORDED", "--prompt", "reach"]),
    ],
)
def test_no_command_takes_weights_that_are_not_finite(
    tmp_path: Path, command: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = str(save_with(tmp_path / "broken", np.nan)), tmp_path / "new"
    with h5py.File(write_hdf5(tmp_path / "episode_0.hdf5", 8), "a") as file:
        for seed, name in enumerate(("action", "observations/qpos")):
            file[name][:] = np.random.default_rng(seed).uniform(0.0, 1.0, (8, 14))
    places = {"NEW": str(new), "RECORDED": str(tmp_path / "episode_0.hdf5")}
    given = [places.get(flag, flag) for flag in flags]
    named = ["--pretrained_checkpoint_path", path, "--on_load_failure", "fail"]
    if command == "pretrain":  # Noise takes more tokens than the checkpoint has slots for.
        named += ["--max_token_len", "100", "--max_action_tokens", "70"]
        named += ["--optional_cameras", "cam_left_wrist", "cam_right_wrist"]
    first = named if command in ("train", "pretrain") else [path]
    assert __main__.main([command, *first, *given]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"chunk_ppo {command}: {path}/params must have finite numbers alone, but 1 of "), error
    assert f" in params/{LEAF} are NaN or infinite; its training has failed or the file is damaged: take" in error
    assert not [file for file in new.rglob("*") if file.is_file()]


def test_a_run_is_not_resumed_from_weights_or_an_optimizer_that_are_not_finite(tmp_path: Path) -> None:
    Learner.start(configure(tmp_path, run={"pretrained_checkpoint_path": str(save_openpi(tmp_path / "openpi"))}))
    step = tmp_path / "checkpoints" / "debug" / "step_0"
    opened, config = Checkpoint.open(step), configure(tmp_path, run={"resume": True})
    params = opened.load_leaves(opened.leaves)
    state = opened.load_train_state(orbax_trees.stored_shapes(step / "train_state"))
    (adam, *_) = [name for name, leaf in state.items() if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size > 1]
    (weight, *_) = [name for name, leaf in params.items() if leaf.size > 1]
    for changed_params, changed_state, name in (
        (with_number(params, weight, np.inf), state, weight),
        (params, with_number(state, adam, np.nan), adam),
    ):
        shutil.copytree(step / "assets", tmp_path / "assets", dirs_exist_ok=True)
        shutil.rmtree(step)
        save_checkpoint(
            step.parent,
            step=0,
            params=changed_params,
            train_state=changed_state,
            assets=tmp_path / "assets",
            metadata=opened.require_metadata(),
        )
        with pytest.raises(CheckpointError, match=f"1 of [0-9]+ in {name} are NaN or infinite"):
            Learner.start(config)


def test_an_actor_does_not_take_new_weights_that_are_not_finite(tmp_path: Path) -> None:
    sound = Checkpoint.open(save_own(tmp_path / "sound"))
    actor = Actor(configure(tmp_path), sound, policy_version=7)
    broken = save_checkpoint(
        tmp_path / "broken",
        step=8,
        params=with_number(make_params(), f"actor_backbone/{LEAF}", np.nan),
        train_state={"count": 0},
        assets=sound.assets,
        metadata=sound.require_metadata(),
    )
    with pytest.raises(CheckpointError, match=f"1 of [0-9]+ in actor_backbone/{LEAF} are NaN"):
        actor.load(Checkpoint.open(broken), policy_version=8)
    assert actor.policy_version == 7


def test_an_absurd_number_is_one_line_when_a_chunk_is_sampled(tmp_path: Path) -> None:
    """It loads, because it is finite. The first chunk shows it."""
    config = configure(tmp_path, cameras=CAMERAS)
    path = Checkpoint.open(save_with(tmp_path / "absurd", 3e38))
    params = name_leaves(restore.load(path, config).params)
    assert np.all(np.isfinite(params[f"actor_backbone/{LEAF}"]))
    actor = Actor(config, path, policy_version=0)
    actor.take(jax.tree.map(lambda leaf: leaf * 3e38, restore.load(path, config).params), policy_version=0)
    size = config.model.image_size
    images = np.zeros((len(CAMERAS), size, size, 3), np.uint8)
    seen = actor.observe(Observation(images, np.ones(len(CAMERAS), bool), np.zeros(14, np.float32), "reach"))
    with pytest.raises(BrokenWeights, match="its weights are broken, load an earlier checkpoint"):
        actor.act(seen, sequence_number=0)
