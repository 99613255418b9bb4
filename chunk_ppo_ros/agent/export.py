"""Writes the actor of a checkpoint as an openpi checkpoint, with `params/` and norm_stats in `assets/<asset_id>/`.

The tokenizers are written beside norm_stats.json. openpi itself always takes the published tokenizers, so it can only
serve a policy that was trained with them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import flax.traverse_util
import jax
import jax.numpy as jnp

from chunk_ppo_ros.agent.run_start.setting_lines import print_history
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.commands.checkpoints import ASSET_ID, EXPORT_DTYPES, export_parser
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.made_from.history import EXPORT, Stage
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.checkpoints.atomic_folder import check_is_free, unfinished_folder
from chunk_ppo_ros.model.checkpoints.checkpoint import ACTOR_PREFIX, Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.reporting.progress import progress_bar

MEGABYTE = 10**6
WATCH_PERIOD = 0.5
"""The seconds between two looks at what is written."""


def export(
    checkpoint: Checkpoint,
    directory: Path,
    *,
    asset_id: str = ASSET_ID,
    from_asset_id: str = "",
    dtype: str = EXPORT_DTYPES[0],
    keep_adapters: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Path:
    """Writes an openpi checkpoint and returns its folder, `directory`.

    Args:
        checkpoint: a checkpoint of this package or one of openpi.
        directory: the folder to write, which must not exist.
        asset_id: the folder of norm_stats.json below `assets` of the export.
        from_asset_id: the asset id of the norm_stats to read. An empty text takes the only one there is.
        dtype: the dtype of the written parameters, one of EXPORT_DTYPES.
        keep_adapters: whether low-rank adapters stay as they are, for openpi's variant with adapters, instead of being
            merged.
        progress: function that is called with the bytes that were read and written so far, and with all of them, now
            and then and from another thread.

    Raises:
        CheckpointError: when the checkpoint cannot be read or the export cannot be written.
    """
    check_is_free(directory)
    _check_asset_id(asset_id)
    source = PolicyAssets.find(checkpoint.assets, asset_id=from_asset_id)
    shapes = _actor_shapes(checkpoint)
    work = _Work(shapes, dtype, progress)
    actor, settings = checkpoint.load_actor(shapes, on_read=work.note_read), checkpoint.settings
    if not keep_adapters:
        actor, settings = lora.merge_adapters(actor, _model_of(checkpoint, actor)), _without_adapters(settings)
    actor = jax.tree.map(lambda leaf: leaf.astype(dtype), actor)
    adapters = "" if keep_adapters else ", with adapters merged where there are some"
    with work.watched(unfinished_folder(directory)):
        return save_openpi_checkpoint(
            directory,
            actor,
            write_assets=lambda assets: source.copy(assets / asset_id),
            settings=settings,
            history=checkpoint.history.then(Stage(EXPORT, f"the actor in openpi's layout, {dtype}{adapters}")),
        )


class _Work:
    """Tells how much of an export is done.

    Args:
        shapes: the arrays that are read.
        dtype: the dtype in which they are written.
        tell: is called with the bytes so far and with all bytes. Compression may make fewer of them.
    """

    def __init__(self, shapes: Params, dtype: str, tell: Callable[[int, int], object]) -> None:
        leaves = jax.tree.leaves(shapes)
        elements = sum(leaf.size for leaf in leaves)
        self._to_read = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
        self._total = self._to_read + elements * jnp.dtype(dtype).itemsize
        self._tell, self._num_read = tell, 0

    def note_read(self, num_bytes: int) -> None:
        """Counts bytes that were read."""
        self._num_read += num_bytes
        self._tell(self._num_read, self._total)

    @contextlib.contextmanager
    def watched(self, folder: Path) -> Iterator[None]:
        """Looks now and then how large a folder is, into which the block writes."""
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(folder, ended), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()

    def _watch(self, folder: Path, ended: threading.Event) -> None:
        while not ended.wait(WATCH_PERIOD):
            self._tell(min(self._to_read + _size(folder), self._total), self._total)


def _size(folder: Path) -> int:
    """Returns the bytes of the files below a folder that changes meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # It was renamed or removed.
            total += file.stat().st_size
    return total


def _actor_shapes(checkpoint: Checkpoint) -> Params:
    """Returns the shapes of the parameters of the backbone, with adapters as they are stored, to be read as float32."""
    names = {
        name.removeprefix(ACTOR_PREFIX): jax.ShapeDtypeStruct(leaf.shape, jnp.float32)
        for name, leaf in checkpoint.leaves.items()
        if name.startswith(ACTOR_PREFIX)
    }
    shapes: Params = flax.traverse_util.unflatten_dict(names, sep="/")
    return shapes


def _without_adapters(settings: RunSettings) -> RunSettings:
    """Returns the settings of the same run with a model whose adapters are merged."""
    values = dict(settings.values)
    if "model.lora_rank" in values:
        variant = str(values["model.paligemma_variant"]).removesuffix("_lora")
        values |= {"model.lora_rank": 0, "model.paligemma_variant": variant}
    return RunSettings(values)


def _model_of(checkpoint: Checkpoint, actor: Params) -> Pi0FASTActorCriticConfig:
    """Returns the model configuration, which gives the scale of the adapters.

    A checkpoint of this package stores the scale. All checkpoints of openpi have openpi's alpha.
    """
    if checkpoint.metadata is not None:
        return checkpoint.metadata.model
    leaves = flax.traverse_util.flatten_dict(actor, sep="/")
    ranks = [leaf.shape[-1] for name, leaf in leaves.items() if lora.is_adapter(name) and name.endswith("lora_a")]
    return Pi0FASTActorCriticConfig(lora_rank=max(ranks, default=0))


def _check_asset_id(asset_id: str) -> None:
    path = PurePosixPath(asset_id)
    if not asset_id or path.is_absolute() or ".." in path.parts:
        raise CheckpointError(
            f"the asset id must be the name of a folder below assets, got '{asset_id}'; try {ASSET_ID}"
        )


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo export CHECKPOINT DIRECTORY`."""
    given = export_parser().parse_args(arguments)
    checkpoint = Checkpoint.open(given.checkpoint)
    print_history(checkpoint)
    with progress_bar(f"exporting to {given.directory}", unit="megabyte") as bar:
        written = export(
            checkpoint,
            given.directory,
            asset_id=given.asset_id,
            from_asset_id=given.from_asset_id,
            dtype=given.dtype,
            keep_adapters=given.keep_adapters,
            progress=lambda done, total: bar.set(done // MEGABYTE, total // MEGABYTE),
        )
    print(f"wrote {written}")
    return 0
