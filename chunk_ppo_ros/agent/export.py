"""Writes the actor of a checkpoint as an openpi checkpoint, with `params/` and norm_stats in `assets/<asset_id>/`.

The tokenizers are written beside norm_stats.json. openpi itself always takes the published tokenizers, so it can only
serve a policy that was trained with them.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from chunk_ppo_ros.model.checkpoints.atomic_folder import check_is_free
from chunk_ppo_ros.model.checkpoints.checkpoint import ACTOR_PREFIX, Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets


def export(
    checkpoint: Checkpoint,
    directory: Path,
    *,
    asset_id: str = ASSET_ID,
    from_asset_id: str = "",
    dtype: str = EXPORT_DTYPES[0],
    keep_adapters: bool = False,
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

    Raises:
        CheckpointError: when the checkpoint cannot be read or the export cannot be written.
    """
    check_is_free(directory)
    _check_asset_id(asset_id)
    source = PolicyAssets.find(checkpoint.assets, asset_id=from_asset_id)
    actor, settings = _load_actor(checkpoint), checkpoint.settings
    if not keep_adapters:
        actor, settings = lora.merge_adapters(actor, _model_of(checkpoint, actor)), _without_adapters(settings)
    actor = jax.tree.map(lambda leaf: leaf.astype(dtype), actor)
    adapters = "" if keep_adapters else ", with adapters merged where there are some"
    return save_openpi_checkpoint(
        directory,
        actor,
        write_assets=lambda assets: source.copy(assets / asset_id),
        settings=settings,
        history=checkpoint.history.then(Stage(EXPORT, f"the actor in openpi's layout, {dtype}{adapters}")),
    )


def _load_actor(checkpoint: Checkpoint) -> Params:
    """Returns the parameters of the backbone in float32, with adapters as they are stored."""
    names = {
        name.removeprefix(ACTOR_PREFIX): jax.ShapeDtypeStruct(leaf.shape, jnp.float32)
        for name, leaf in checkpoint.leaves.items()
        if name.startswith(ACTOR_PREFIX)
    }
    return checkpoint.load_actor(flax.traverse_util.unflatten_dict(names, sep="/"))


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
    written = export(
        checkpoint,
        given.directory,
        asset_id=given.asset_id,
        from_asset_id=given.from_asset_id,
        dtype=given.dtype,
        keep_adapters=given.keep_adapters,
    )
    print(f"wrote {written}")
    return 0
