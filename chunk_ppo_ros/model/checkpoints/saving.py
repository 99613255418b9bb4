"""Writes checkpoints of both layouts, whole or not at all. `checkpoint.py` describes the layouts and reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.core.made_from.history import NO_HISTORY, History
from chunk_ppo_ros.core_jax.arrays import Params, PyTree
from chunk_ppo_ros.model.checkpoints import atomic_folder, metadata_file, orbax_trees
from chunk_ppo_ros.model.checkpoints.checkpoint import ASSETS, CHECKSUMS, METADATA, PARAMS, SETTINGS, TRAIN_STATE
from chunk_ppo_ros.model.checkpoints.consumed_file import write_consumed
from chunk_ppo_ros.model.checkpoints.metadata import Metadata, write_metadata
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.step_folders import remove_unfinished, step_folder


def save_checkpoint(
    directory: Path,
    *,
    step: int,
    params: Params,
    train_state: PyTree,
    assets: Path,
    metadata: Metadata,
    consumed: Consumed = NOTHING_CONSUMED,
) -> Path:
    """Writes the `step_folder` of a version below `directory`, whole or not at all, and returns its path.

    Args:
        directory: the folder of the run's checkpoints, which is made if it is missing. Unfinished folders that an
            interrupted save left in it are removed.
        step: policy version, >= 0.
        params: the parameters, {"actor_backbone": ..., "value_head": ...}.
        train_state: the training state, which may be any tree of arrays.
        assets: the folder of norm_stats and tokenizers, which is copied.
        metadata: content of the checkpoint's metadata.json.
        consumed: the chunks that the run has trained on, which go into consumed.json.

    Raises:
        CheckpointError: when the folder exists or cannot be written; earlier checkpoints stay whole.
    """

    def write(folder: Path) -> None:
        orbax_trees.save_tree(folder / PARAMS, params)
        orbax_trees.save_tree(folder / TRAIN_STATE, train_state)
        shutil.copytree(assets, folder / ASSETS)
        write_consumed(folder, consumed)
        write_metadata(folder / METADATA, metadata, step=step, checksums=atomic_folder.checksums(folder))

    remove_unfinished(directory)
    return atomic_folder.write_atomically(step_folder(directory, step), write)


def save_openpi_checkpoint(
    directory: Path,
    actor_backbone: Params,
    *,
    write_assets: Callable[[Path], object],
    settings: RunSettings | None = None,
    history: History = NO_HISTORY,
) -> Path:
    """Writes a checkpoint in openpi's layout, whole or not at all, and returns its path.

    Args:
        directory: the checkpoint's folder, which must not exist.
        actor_backbone: the backbone's parameters, {"PaliGemma": ...}.
        write_assets: function that is called with the empty `assets` folder, which it fills.
        settings: settings of the run that made the parameters.
        history: the stages in which the parameters were made. Without settings and stages there is no settings.json.

    Raises:
        CheckpointError: when the folder exists or cannot be written.
    """

    def write(folder: Path) -> None:
        orbax_trees.save_tree(folder / PARAMS, {"params": actor_backbone})
        (folder / ASSETS).mkdir()
        write_assets(folder / ASSETS)
        (folder / CHECKSUMS).write_text(json.dumps(atomic_folder.checksums(folder, below=PARAMS), indent=2) + "\n")
        sections = {} if settings is None else settings.sections()
        if sections or history.stages:
            content = {"settings": sections, "made_from": history.to_json()}
            metadata_file.write_checked(folder / SETTINGS, content)

    return atomic_folder.write_atomically(directory, write)
