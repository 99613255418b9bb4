"""Tests how an actor replaces its weights by those of another version, with and without room for both."""

from __future__ import annotations

import dataclasses
import weakref
from pathlib import Path
from typing import Any

import jax
import pytest

from chunk_ppo_ros.agent import acting_weights
from chunk_ppo_ros.agent.acting_weights import ActingWeights, Room
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.checkpoints import orbax_trees
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from support import small_policy
from support.damage import damaged, flip
from support.rollouts import sampled_rollout
from support.trees import assert_trees_equal

NONE, PLENTY = 0, 10**12
NO_ROOM = "0.00 GB are needed and 0.00 GB are free"


def two_versions(folder: Path, **ppo: Any) -> tuple[Checkpoint, Checkpoint, Any]:
    """Returns the checkpoints of two versions of a run, and the shapes of their parameters."""
    imitated = folder / "imitated"
    small_policy.save_openpi(imitated)
    config = small_policy.configure(folder, run={"pretrained_checkpoint_path": str(imitated)})
    settings = {"num_chunks_per_update": 4, "batch_size": 4, "learning_rate": 1e-2, **ppo}
    config = dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, **settings))
    learner = Learner.start(config)
    first, shapes = learner.checkpoint, jax.eval_shape(lambda: learner.params)
    learner.update(sampled_rollout(learner, config))
    return first, learner.save(), shapes


class Disk:
    """Watches how arrays are read, and fails to read them while `breaks` says so.

    Attributes:
        names: the names of the arrays of each reading.
        held: whether the watched array was in memory at each reading.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[set[str]] = []
        self.held: list[bool] = []
        self.breaks = 0
        self.watched: weakref.ref[jax.Array] | None = None
        self._read = orbax_trees.read_arrays
        monkeypatch.setattr(orbax_trees, "read_arrays", self.read)

    def read(self, folder: Path, stored: Any, arguments: Any) -> Any:
        self.names.append(set(stored))
        self.held.append(self.watched is not None and self.watched() is not None)
        if self.breaks:
            self.breaks -= 1
            raise CheckpointError("the disk is broken")
        return self._read(folder, stored, arguments)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Checkpoint, Any]:
    return two_versions(tmp_path_factory.mktemp("run"))


def set_free(monkeypatch: pytest.MonkeyPatch, *, device: int, host: int = PLENTY) -> None:
    monkeypatch.setattr(acting_weights, "free_memory", lambda _: device)
    monkeypatch.setattr(acting_weights, "free_host_memory", lambda: host)


def leaves_of(checkpoint: Checkpoint, shapes: Any) -> Any:
    return jax.device_get(checkpoint.load_leaves(shapes))


@pytest.mark.parametrize(("device", "host"), [(PLENTY, PLENTY), (NONE, PLENTY), (NONE, NONE)])
def test_the_weights_before_stay_in_memory_until_the_new_ones_are_whole_where_there_is_room(
    versions: tuple[Checkpoint, Checkpoint, Any], monkeypatch: pytest.MonkeyPatch, device: int, host: int
) -> None:
    first, second, shapes = versions
    weights = ActingWeights(first.load_leaves(shapes), first)
    disk = Disk(monkeypatch)
    disk.watched = weakref.ref(jax.tree.leaves(weights.params)[0])
    set_free(monkeypatch, device=device, host=host)
    note = weights.replace(second, shapes)
    assert disk.held == [device == PLENTY]
    assert (note == "") is (device == PLENTY)
    assert note == "" or note.startswith("the memory has no room for two versions: 0.00 GB are needed and 0.00 GB")
    assert_trees_equal(jax.device_get(weights.params), leaves_of(second, shapes))


@pytest.mark.parametrize(("device", "host"), [(PLENTY, PLENTY), (NONE, PLENTY), (NONE, NONE)])
def test_the_weights_before_stay_or_come_back_where_the_new_ones_cannot_be_read(
    versions: tuple[Checkpoint, Checkpoint, Any], monkeypatch: pytest.MonkeyPatch, device: int, host: int
) -> None:
    first, second, shapes = versions
    weights = ActingWeights(first.load_leaves(shapes), first)
    disk = Disk(monkeypatch)
    disk.breaks = 1
    set_free(monkeypatch, device=device, host=host)
    with pytest.raises(CheckpointError, match="the disk is broken"):
        weights.replace(second, shapes)
    assert len(disk.held) == (2 if host == NONE else 1)  # Where nothing was kept, the version before is read again.
    assert_trees_equal(jax.device_get(weights.params), leaves_of(first, shapes))
    with damaged(second.root / "params" / "manifest.ocdbt", flip), pytest.raises(CheckpointError):
        weights.replace(second, shapes)
    assert_trees_equal(jax.device_get(weights.params), leaves_of(first, shapes))
    assert weights.replace(second, shapes) == ("" if device else f"the memory has no room for two versions: {NO_ROOM}")
    assert_trees_equal(jax.device_get(weights.params), leaves_of(second, shapes))


def test_weights_of_no_checkpoint_that_cannot_be_kept_are_named_as_lost(
    versions: tuple[Checkpoint, Checkpoint, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, shapes = versions
    weights = ActingWeights(first.load_leaves(shapes), first)
    weights.take(first.load_leaves(shapes))
    disk = Disk(monkeypatch)
    disk.breaks = 1
    set_free(monkeypatch, device=NONE, host=NONE)
    with pytest.raises(CheckpointError, match="the weights in use are lost, because they were in no checkpoint"):
        weights.replace(second, shapes)
    weights.replace(second, shapes)  # The next version mends it.
    assert_trees_equal(jax.device_get(weights.params), leaves_of(second, shapes))


def test_only_the_leaves_that_the_run_trains_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, shapes = two_versions(tmp_path, freeze_image_tower=True)
    weights = ActingWeights(first.load_leaves(shapes), first)
    before = name_leaves(weights.params)
    disk = Disk(monkeypatch)
    weights.replace(second, shapes)
    images = {name for name in before if "/img/" in name}
    assert images and disk.names == [set(before) - images]
    after = name_leaves(weights.params)
    assert {name for name in before if after[name] is before[name]} == images
    assert_trees_equal(jax.device_get(weights.params), leaves_of(second, shapes))


def test_all_leaves_of_another_run_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, shapes = two_versions(tmp_path, freeze_image_tower=True)
    metadata = first.require_metadata()
    counters = dataclasses.replace(metadata.counters, run_id="another")
    other = dataclasses.replace(first, metadata=dataclasses.replace(metadata, counters=counters))
    weights = ActingWeights(first.load_leaves(shapes), first)
    disk = Disk(monkeypatch)
    weights.replace(other, shapes)
    assert disk.names == [set(name_leaves(shapes))]


def test_a_tenth_of_the_free_memory_is_left() -> None:
    assert Room(needed=90, free=100).suffices and not Room(needed=91, free=100).suffices
    assert str(Room(needed=11_700_000_000, free=3_100_000_000)) == "11.70 GB are needed and 3.10 GB are free"
    assert acting_weights.free_memory(jax.devices()[0]) > 1 << 20
