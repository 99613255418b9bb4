"""Saves the versions of a run one after the other, and removes those that are no longer kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.made_from.history import History
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core_jax.arrays import Params, PyTree
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Metadata, Provenance
from chunk_ppo_ros.model.checkpoints.saving import save_checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import remove_old_checkpoints, step_folder


class VersionSaver:
    """Writes the checkpoints of a run.

    Args:
        config: the run's configuration, which each checkpoint stores.
        provenance: where the run's first weights come from.
        made_from: what the run's first weights were made from.

    Attributes:
        folder: the folder of the run's checkpoints.
    """

    def __init__(self, config: TrainConfig, *, provenance: Provenance, made_from: History) -> None:
        self.folder = config.run.checkpoint_folder
        self._config = config
        self._provenance = provenance
        self._made_from = made_from
        self._written: Path | None = None  # the newest checkpoint that was written here

    def save(
        self,
        params: Params,
        train_state: PyTree,
        save_assets: Callable[[Path], None],
        *,
        counters: Counters,
        consumed: Consumed,
    ) -> Checkpoint:
        """Writes a checkpoint of a version and returns it. Checkpoints that are no longer kept are removed.

        The folder is written whole or not at all. Where something failed after it was written, the next call for the
        same version goes on from there.

        Args:
            params: the parameters, {"actor_backbone": ..., "value_head": ...}.
            train_state: the state of the optimizer.
            save_assets: writes norm_stats, tokenizers and the like into a folder.
            counters: the counters of the run, which name the version.
            consumed: the chunks that the run has trained on.

        Raises:
            CheckpointError: when the checkpoint cannot be written. Earlier checkpoints stay whole.
            OSError: when there is no place for temporary files, or an old checkpoint cannot be removed.
        """
        target = step_folder(self.folder, counters.policy_version)
        if self._written is None or self._written != target or not target.is_dir():
            with tempfile.TemporaryDirectory() as assets:
                save_assets(Path(assets))
                self._written = self._write(params, train_state, Path(assets), counters, consumed)
        checkpoint = Checkpoint.open(self._written)
        remove_old_checkpoints(self.folder, keep=self._config.run.keep_checkpoints, in_use=self._written)
        return checkpoint

    def _write(self, params: Params, train_state: PyTree, assets: Path, counters: Counters, consumed: Consumed) -> Path:
        return save_checkpoint(
            self.folder,
            step=counters.policy_version,
            params=params,
            train_state=train_state,
            assets=assets,
            metadata=Metadata.of(
                self._config, counters=counters, provenance=self._provenance, made_from=self._made_from
            ),
            consumed=consumed,
        )
