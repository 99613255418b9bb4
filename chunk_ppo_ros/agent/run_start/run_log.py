"""Opens the metrics of a run that trains, and says whether it has trained."""

from __future__ import annotations

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint, step_folder
from chunk_ppo_ros.reporting.metrics_log import MetricsLog


def open_metrics(learner: Learner, config: TrainConfig) -> MetricsLog:
    """Opens the metrics in the folder of the run, and records which weights the run started from.

    Args:
        learner: the learner of the run.
        config: the settings of the run.

    Raises:
        OSError: when the folder cannot be written.
    """
    origin = learner.provenance
    return MetricsLog.open(
        config.run.folder, config=config, run_id=learner.run_id, start=str(origin), is_fallback=origin.is_fallback
    )


def has_trained(run: RunConfig) -> bool:
    """Returns whether the run of these folders has made an update, whose checkpoint is on disk then."""
    newest = newest_checkpoint(run.checkpoint_folder)
    return newest is not None and newest != step_folder(run.checkpoint_folder, 0)
