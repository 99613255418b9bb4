"""Opens the checkpoint that the settings name, and reads its statistics and settings, but none of its arrays."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.nodes.doctor.facts import WeightFacts


def weight_facts(run: RunConfig) -> WeightFacts | None:
    """Returns the checkpoint of `run.pretrained_checkpoint_path`, or None where the settings name none."""
    path = run.pretrained_checkpoint_path
    if not path:
        return None
    from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
    from chunk_ppo_ros.model.tokenization.assets import PolicyAssets

    try:
        checkpoint = Checkpoint.open(Path(path))
        statistics = PolicyAssets.find(checkpoint.assets, asset_id=run.asset_id).norm_stats
    except CheckpointError as error:
        return WeightFacts(path, problem=str(error))
    return WeightFacts(
        path,
        settings=checkpoint.settings.values,
        state_dim=statistics.state.dim,
        action_dim=statistics.actions.dim,
        ranges=tuple((statistics.state.q99 - statistics.state.q01).tolist()),
        size=sum(file.stat().st_size for file in checkpoint.root.rglob("*") if file.is_file()),
    )
