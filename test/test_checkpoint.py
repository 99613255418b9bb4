"""Tests checkpoints: both layouts written and read, every kind of broken folder, atomic writes, and retention."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Metadata, Provenance
from chunk_ppo_ros.model.checkpoints.saving import save_checkpoint, save_openpi_checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint, remove_old_checkpoints
from support import published

ACTOR = {
    "PaliGemma": {
        "img": {"head": {"bias": np.arange(3.0, dtype=np.float32)}},
        "llm": {"w": np.ones((2, 1, 3), np.float32)},
    }
}
METADATA = Metadata.of(PRESETS["debug"], counters=Counters("r", policy_version=7), provenance=Provenance("scratch"))
PARAMS = {"actor_backbone": ACTOR, "value_head": {"hidden": {"kernel": np.full((2, 4), 0.5, np.float32)}}}


def train_state() -> Any:
    """Returns the state of a real optimizer, which has named tuples, an empty state and an integer counter."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)).init(jax.tree.map(jnp.asarray, PARAMS))


def assert_equal_trees(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.dtype, b.dtype), found, expected)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "some_assets"
    (folder / "fast").mkdir(parents=True)
    (folder / "fast" / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def save(tmp_path: Path, assets: Path) -> Callable[[int], Path]:
    def save_step(step: int) -> Path:
        return save_checkpoint(
            tmp_path / "run", step=step, params=PARAMS, train_state=train_state(), assets=assets, metadata=METADATA
        )

    return save_step


def save_openpi(folder: Path, actor: Any = ACTOR) -> Path:
    return save_openpi_checkpoint(folder, actor, write_assets=lambda to: (to / "norm_stats.json").touch())


def test_own_checkpoint_comes_back_whole(save: Callable[[int], Path]) -> None:
    path = save(7)
    assert path.name == "step_7"
    opened = Checkpoint.open(path)
    assert (opened.kind, opened.root, opened.policy_version) == ("own", path, 7)
    assert_equal_trees(opened.load_leaves(PARAMS), PARAMS)
    state = train_state()
    assert_equal_trees(opened.load_train_state(jax.eval_shape(lambda: state)), jax.device_get(state))
    assert opened.metadata == METADATA
    content = json.loads((path / "metadata.json").read_text())
    assert (content["format_version"], content["step"], content["counters"]["run_id"]) == (1, 7, "r")
    assert (path / "assets" / "fast" / "tokenizer.json").read_text() == "{}"
    assert not list(path.parent.glob(".unfinished*"))


def test_what_earlier_training_states_lack_is_filled_in_where_it_is_named(save: Callable[[int], Path]) -> None:
    path, state = save(7), train_state()
    later = jax.eval_shape(lambda: (*state, jnp.ones(())))
    loaded = Checkpoint.open(path).load_train_state(later, absent={"2": np.float32(1.0)})
    assert_equal_trees(loaded, (*jax.device_get(state), np.float32(1.0)))
    with pytest.raises(CheckpointError, match="  2: expected .* found"):
        Checkpoint.open(path).load_train_state(later)


def test_openpi_checkpoint_comes_back(tmp_path: Path) -> None:
    path = save_openpi(tmp_path / "imitation")
    for place in (path, path / "params"):
        opened = Checkpoint.open(place)
        assert (opened.kind, opened.root, opened.metadata, opened.policy_version) == ("openpi", path, None, 0)
        assert_equal_trees(opened.load_actor(ACTOR), ACTOR)
    assert (path / "assets" / "norm_stats.json").exists()


def test_tree_of_openpi_is_what_orbax_reads(tmp_path: Path) -> None:
    path = save_openpi(tmp_path / "imitation")
    arguments = jax.tree.map(lambda _: orbax.RestoreArgs(restore_type=np.ndarray), {"params": ACTOR})
    assert_equal_trees(orbax.PyTreeCheckpointer().restore(path / "params", restore_args=arguments), {"params": ACTOR})


def test_leaves_below_value_are_found_and_converted(tmp_path: Path) -> None:
    """openpi's trainer writes every leaf one level deeper. Released weights may be bfloat16."""
    deeper = {"params": jax.tree.map(lambda leaf: {"value": leaf.astype(jnp.bfloat16)}, ACTOR)}
    orbax.PyTreeCheckpointer().save(tmp_path / "openpi" / "params", deeper)
    opened = Checkpoint.open(tmp_path / "openpi")
    assert (opened.kind, set(opened.leaves)) == ("openpi", {f"actor_backbone/{name}" for name in name_leaves(ACTOR)})
    assert_equal_trees(opened.load_actor(ACTOR), ACTOR)


def test_a_leaf_that_is_called_value_is_kept_where_not_all_are(tmp_path: Path) -> None:
    actor = {"PaliGemma": {"value": np.ones(2, np.float32), "other": np.zeros(1, np.float32)}}
    assert_equal_trees(Checkpoint.open(save_openpi(tmp_path / "imitation", actor)).load_actor(actor), actor)


def test_released_checkpoint_of_the_reference_data_loads() -> None:
    folder = published.set_a_folder()
    described = json.loads((folder / "config.json").read_text())["params"]
    expected: dict[str, Any] = {}
    for name, (shape, dtype) in described.items():
        *parents, leaf = name.split("/")
        node = expected
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = jax.ShapeDtypeStruct(tuple(shape), dtype)
    opened = Checkpoint.open(folder / "checkpoint")
    assert opened.kind == "openpi"
    actor = opened.load_actor(expected)
    assert sum(leaf.size for leaf in jax.tree.leaves(actor)) == 476_672


def test_every_mismatch_is_listed_with_both_shapes(save: Callable[[int], Path]) -> None:
    expected = {
        "actor_backbone": {"PaliGemma": {"img": {"head": {"bias": np.zeros(5)}}, "new": np.zeros(())}},
        "value_head": PARAMS["value_head"],
    }
    with pytest.raises(CheckpointError) as failure:
        Checkpoint.open(save(0)).load_leaves(expected)
    text = str(failure.value)
    assert "3 differ" in text
    assert "actor_backbone/PaliGemma/img/head/bias: expected (5,), found (3,)" in text
    assert "actor_backbone/PaliGemma/llm/w: expected nothing, found (2, 1, 3)" in text
    assert "actor_backbone/PaliGemma/new: expected (), found nothing" in text


def test_the_actor_of_an_own_checkpoint_comes_without_its_value_head(save: Callable[[int], Path]) -> None:
    assert_equal_trees(Checkpoint.open(save(0)).load_actor(ACTOR), ACTOR)


def test_missing_and_foreign_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere must be a folder, got none of that name"):
        Checkpoint.open(tmp_path / "nowhere")
    for name in ("step_9", "step_25"):
        (tmp_path / "mine" / name / "params").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="got none of that name; check the path; .*mine has step_9, step_25$"):
        Checkpoint.open(tmp_path / "mine" / "step_26")
    shutil.rmtree(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="must have a folder params, got: an empty folder"):
        Checkpoint.open(tmp_path)
    (tmp_path / "pytorch").mkdir()
    (tmp_path / "pytorch" / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"must have a folder params, got: model.safetensors \(weights of Py"):
        Checkpoint.open(tmp_path / "pytorch")
    (tmp_path / "params").mkdir()
    with pytest.raises(CheckpointError, match="an empty folder"):
        Checkpoint.open(tmp_path)
    (tmp_path / "params" / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"got: model.safetensors"):
        Checkpoint.open(tmp_path)
    orbax.PyTreeCheckpointer().save(tmp_path / "other" / "params", {"encoder": np.zeros(1), "decoder": np.zeros(1)})
    with pytest.raises(CheckpointError, match="got decoder, encoder; it is a checkpoint of another program"):
        Checkpoint.open(tmp_path / "other")


def largest_file(folder: Path) -> Path:
    return max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)


def change_a_byte(path: Path) -> None:
    file = largest_file(path / "params")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_a_byte, "list of arrays is damaged"),  # it is in the largest file of so small a tree
        (lambda path: largest_file(path / "params" / "ocdbt.process_0").write_bytes(b""), "was changed since"),
        (lambda path: (path / "params" / "manifest.ocdbt").unlink(), "(list of|has no) arrays"),
        (lambda path: (path / "params" / "_CHECKPOINT_METADATA").unlink(), "_CHECKPOINT_METADATA is missing since"),
        (
            lambda path: shutil.rmtree(path / "params"),
            "must have a folder params, got: assets, consumed.json, metadata.json",
        ),
        (lambda path: (path / "metadata.json").write_text("{"), "metadata.json cannot be read"),
        (lambda path: (path / "metadata.json").unlink(), "metadata.json cannot be read"),
        (lambda path: (path / "metadata.json").write_text('{"format_version": 2}'), "format_version 1, got 2"),
    ],
)
def test_damaged_own_checkpoints_are_refused(
    save: Callable[[int], Path], damage: Callable[[Path], object], message: str
) -> None:
    path = save(0)
    damage(path)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.open(path).load_leaves(PARAMS)


@pytest.mark.parametrize("name", ["_METADATA", "manifest.ocdbt"])
def test_damaged_openpi_checkpoints_are_refused(tmp_path: Path, name: str) -> None:
    # The tree has one array. Where several cannot be read, Orbax gives up at the first one and may drop the others'
    # answers. Python would report these in whatever test runs next.
    actor = {"PaliGemma": {"w": np.ones(3, np.float32)}}
    path = save_openpi(tmp_path / "imitation", actor)
    (path / "params" / name).write_bytes(b"{")
    with pytest.raises(CheckpointError, match="take another checkpoint"):
        Checkpoint.open(path).load_actor(actor)


def test_newest_ignores_what_is_unfinished_or_not_a_step(tmp_path: Path, save: Callable[[int], Path]) -> None:
    assert newest_checkpoint(tmp_path / "run") is None
    save(9)
    newest = save(10)  # by number, not by name
    (tmp_path / "run" / "step_11").mkdir()
    (tmp_path / "run" / ".unfinished_step_12").mkdir()
    (tmp_path / "run" / "step_x").mkdir()
    assert newest_checkpoint(tmp_path / "run") == newest


def test_interrupted_save_is_removed_by_the_next(tmp_path: Path, save: Callable[[int], Path]) -> None:
    leftover = tmp_path / "run" / ".unfinished_step_4"
    leftover.mkdir(parents=True)
    (leftover / "half").touch()
    save(5)
    assert sorted(child.name for child in (tmp_path / "run").iterdir()) == ["step_5"]


def test_a_leftover_that_cannot_be_removed_hinders_only_its_own_version(
    tmp_path: Path, save: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / "run" / ".unfinished_step_4"
    leftover.mkdir(parents=True)
    remove = os.rmdir

    def refuse(path: Any, **places: Any) -> None:
        if os.fspath(path).endswith(leftover.name):
            raise PermissionError(13, "Permission denied", str(path))
        remove(path, **places)

    monkeypatch.setattr(os, "rmdir", refuse)
    assert save(5).is_dir()
    with pytest.raises(CheckpointError, match=r"step_4 cannot be written: .*\.unfinished_step_4"):
        save(4)


def test_finished_checkpoint_is_never_overwritten(save: Callable[[int], Path]) -> None:
    path = save(1)
    with pytest.raises(CheckpointError, match="step_1 must not exist yet"):
        save(1)
    assert_equal_trees(Checkpoint.open(path).load_leaves(PARAMS), PARAMS)


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Limits files to 64 bytes within the block, as on a full disk.

    pytest's own log may be such a file, so the limit must not be in force between tests.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_leaves_earlier_checkpoints_whole(tmp_path: Path, save: Callable[[int], Path]) -> None:
    earlier = save(1)
    with no_room(), pytest.raises(CheckpointError, match=r"step_2 cannot be written: .*; make room"):
        save(2)
    assert sorted(child.name for child in (tmp_path / "run").iterdir()) == ["step_1"]
    assert_equal_trees(Checkpoint.open(earlier).load_leaves(PARAMS), PARAMS)


def test_retention_keeps_the_newest_and_the_one_in_use(tmp_path: Path, save: Callable[[int], Path]) -> None:
    steps = [save(step) for step in (1, 2, 3, 10)]
    remove_old_checkpoints(tmp_path / "run", keep=2, in_use=steps[0])
    assert {child.name for child in (tmp_path / "run").iterdir()} == {"step_1", "step_3", "step_10"}
    remove_old_checkpoints(tmp_path / "run", keep=5, in_use=steps[0])
    assert len(list((tmp_path / "run").iterdir())) == 3
