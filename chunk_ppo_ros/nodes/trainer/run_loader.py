"""Loads the run of trainer_node: its learner, and the files that its metrics go to."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.run_log import open_metrics
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.folders import removed_after_failure
from chunk_ppo_ros.reporting.metrics_log import MetricsLog


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run that is loaded.

    Attributes:
        learner: its learner.
        metrics: its metrics file and wandb, which are open.
        resumed: whether the run goes on from a checkpoint of its own.
    """

    learner: Learner
    metrics: MetricsLog
    resumed: bool


class RunLoader:
    """Loads the run, again where the node is cleaned up and configured again.

    Args:
        config: the configuration of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config

    def load(self) -> LoadedRun:
        """Returns the run. It begins, or goes on where `run.resume` is set. This runs in the worker thread.

        After the first call that did not fail, the first checkpoint is on disk. All later calls go on from the newest
        one, also where the node was cleaned up before it knew of the first. A first call that fails leaves no
        checkpoint.

        Raises:
            UserError: when the run cannot begin or go on.
        """
        config = self._config
        with removed_after_failure(config.run.checkpoint_folder, unless=lambda: config.run.resume):
            learner = Learner.start(config)
            metrics = open_metrics(learner, config)
        self._config = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
        return LoadedRun(learner, metrics, config.run.resume)
