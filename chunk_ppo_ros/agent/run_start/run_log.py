"""Opens the metrics of a run that trains."""

from __future__ import annotations

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.reporting.metrics_log import MetricsLog


def open_metrics(learner: Learner, config: TrainConfig, *, form: str, run_start: RunStart) -> MetricsLog:
    """Opens the metrics in the folder of the run, and records which weights the run started from.

    Args:
        learner: the learner of the run.
        config: the settings of the run.
        form: the sub-command that starts such a run, "train" or "graph".
        run_start: what the user gave at the start, beside the values of settings.

    Raises:
        DiskError: when the folder cannot be written.
    """
    origin = learner.provenance
    with usable(config.run.folder, "a folder whose files can be written"):
        return MetricsLog.open(
            config.run.folder,
            config=config,
            run_id=learner.run_id,
            start=str(origin),
            is_fallback=origin.is_fallback,
            form=form,
            run_start=run_start,
        )
