"""Opens the metrics of a run that trains."""

from __future__ import annotations

import os

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.graph_start import GraphStart
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.reporting.metrics_log import MetricsLog


def open_metrics(learner: Learner, config: TrainConfig, *, form: str) -> MetricsLog:
    """Opens the metrics in the folder of the run, and records which weights the run started from.

    Args:
        learner: the learner of the run.
        config: the settings of the run.
        form: the sub-command that starts such a run, "train" or "graph".

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
            graph_start=GraphStart.of_environment(os.environ),
        )
