"""Tests which trees of Orbax load, in all forms that its versions write, and what is said of other models' trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.core.errors import CheckpointError, MissingCheckpoint
from chunk_ppo_ros.model.checkpoints import orbax_trees
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from support.damage import damaged, empty, flip, truncate
from support.small_policy import save_openpi


def save_standard(folder: Path, tree: Any) -> None:
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, tree)


def save_by(**settings: bool) -> Callable[[Path, Any], None]:
    return lambda folder, tree: orbax.PyTreeCheckpointer(**settings).save(folder, tree)


FORMS = {
    "one database": save_by(),
    "a folder for each array": save_by(use_ocdbt=False),
    "zarr3": save_by(use_zarr3=True),
    "zarr3, a folder for each array": save_by(use_ocdbt=False, use_zarr3=True),
    "StandardSave": save_standard,
}


def make_actor() -> dict[str, Any]:
    """Returns three arrays of three dtypes below the names of openpi."""
    random = np.random.default_rng(0)
    return {
        "PaliGemma": {
            "img": {"kernel": random.normal(size=(4, 3)).astype(np.float32)},
            "llm": {
                "layers": random.normal(size=(2, 5)).astype(jnp.bfloat16),
                "scale": random.normal(size=7).astype(np.float16),
            },
        }
    }


@pytest.mark.parametrize("has_value_leaves", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_tree_loads_in_every_form_that_orbax_writes(tmp_path: Path, form: str, has_value_leaves: bool) -> None:
    """openpi's trainer writes each array below one more name, `value`."""
    actor = make_actor()
    tree = {"params": actor}
    stored = jax.tree.map(lambda leaf: {"value": leaf}, tree) if has_value_leaves else tree
    FORMS[form](tmp_path / "params", jax.tree.map(jnp.asarray, stored))
    for path in (tmp_path, tmp_path / "params"):
        loaded = Checkpoint.open(path).load_actor(actor)
        jax.tree.map(np.testing.assert_array_equal, loaded, actor)


@pytest.mark.parametrize("form", ["a folder for each array", "zarr3, a folder for each array"])
def test_damage_of_a_tree_of_folders_is_one_error_or_a_changed_number(
    tmp_path: Path, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed beside the error. A flipped bit of the numbers themselves cannot be seen without checksums."""
    actor = make_actor()
    FORMS[form](tmp_path / "params", {"params": jax.tree.map(jnp.asarray, actor)})
    needed, errors = set(), []
    for file in sorted(file for file in (tmp_path / "params").rglob("*") if file.is_file()):
        for damage in (Path.unlink, empty, truncate, flip):
            with damaged(file, damage):
                try:
                    loaded = Checkpoint.open(tmp_path).load_actor(actor)
                except CheckpointError as error:
                    errors.append(str(error))
                    needed.add(file.name)
                    continue
            is_of_numbers = file.parent.name not in ("params", "array_metadatas")
            if damage is not flip or not is_of_numbers:
                jax.tree.map(np.testing.assert_array_equal, loaded, actor)
    assert needed & {".zarray", "zarr.json"} and "_METADATA" in needed and "_CHECKPOINT_METADATA" not in needed
    assert not any("\n" in error for error in errors)
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err + captured.out


def test_a_folder_of_checkpoints_and_a_file_are_named(tmp_path: Path) -> None:
    """openpi's trainer writes `EXPERIMENT/<step>`, and the user has to name the step."""
    for step in ("999", "20000"):
        save_openpi_checkpoint(tmp_path / "experiment" / step, make_actor(), write_assets=lambda assets: None)
    with pytest.raises(MissingCheckpoint, match=r"got a folder of checkpoints; name one of them, .*/experiment/20000$"):
        Checkpoint.open(tmp_path / "experiment")
    (tmp_path / "paligemma.npz").write_bytes(b"PK")
    with pytest.raises(MissingCheckpoint, match=r"paligemma.npz must be a folder, got a file"):
        Checkpoint.open(tmp_path / "paligemma.npz")


def test_a_tree_under_another_name_is_told_where_it_belongs(tmp_path: Path) -> None:
    save_standard(tmp_path / "default", {"params": make_actor()})
    with pytest.raises(CheckpointError, match="move them to CHECKPOINT/params, with norm_stats.json in"):
        Checkpoint.open(tmp_path / "default")


FLOW_MODELS: dict[str, tuple[str, ...]] = {
    "pi0": ("state_proj", "action_in_proj", "action_out_proj", "action_time_mlp_in", "action_time_mlp_out"),
    "pi0.5": ("action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out"),
    "pi0 or pi0.5": (),  # Only the second Gemma is left, as in a checkpoint whose heads were taken away.
}


@pytest.mark.parametrize("has_value_leaves", [False, True])
@pytest.mark.parametrize("model", FLOW_MODELS)
def test_pi0_and_pi05_are_named(
    tmp_path: Path, model: str, has_value_leaves: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    leaf: Any = {"value": np.ones(2)} if has_value_leaves else np.ones(2)
    gemma = {"mlp": leaf, "mlp_1": leaf, "attn": {"q_einsum": leaf, "q_einsum_1": leaf}}
    heads = {name: {"kernel": leaf, "bias": leaf} for name in FLOW_MODELS[model]}
    tree = {"params": {"PaliGemma": {"img": leaf, "llm": {"layers": gemma}}, **heads}}
    orbax_trees.save_tree(tmp_path / "pi" / "params", tree)
    assert __main__.main(["export", str(tmp_path / "pi"), str(tmp_path / "new")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"must be a pi0-FAST, got {model}, which has an action expert for flow matching (" in error
    assert not (tmp_path / "new").exists()


def test_a_policy_of_lerobot_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"\(weights of PyTorch, which cannot be read\); take a checkpoint of"):
        Checkpoint.open(tmp_path)
    (tmp_path / "config.json").write_text('{"type": "pi0_fast"}')
    with pytest.raises(CheckpointError, match=r"\(weights of PyTorch, a policy of the type 'pi0_fast', which cannot"):
        Checkpoint.open(tmp_path)


def test_our_own_export_is_no_flow_model(tmp_path: Path) -> None:
    assert Checkpoint.open(save_openpi(tmp_path / "export")).kind == "openpi"
