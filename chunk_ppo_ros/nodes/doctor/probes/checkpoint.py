"""Opens the checkpoint that the settings name, and reads its statistics and settings, but none of its arrays."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.nodes.doctor.facts import WeightFacts
from chunk_ppo_ros.robot.aloha import ACTION_DIM


def weight_facts(run: RunConfig, *, action_dim: int = ACTION_DIM) -> WeightFacts | None:
    """Returns the checkpoint of `run.pretrained_checkpoint_path`, or None where the settings name none.

    Args:
        run: the settings that name the checkpoint.
        action_dim: the dimensions of the model's actions, beyond which zeros of its statistics are padding.
    """
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
    statistics = statistics.without_padding(action_dim)
    return WeightFacts(
        path,
        settings=checkpoint.settings.values,
        state_dim=statistics.state.dim,
        action_dim=statistics.actions.dim,
        ranges=tuple((statistics.state.q99 - statistics.state.q01).tolist()),
        size=sum(file.stat().st_size for file in checkpoint.root.rglob("*") if file.is_file()),
    )
