"""Loads the run of trainer_node: its learner, and the files that its metrics go to."""

from __future__ import annotations

import dataclasses
import os

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.run_log import open_metrics
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.folders import removed_after_failure
from chunk_ppo_ros.data.earlier_journal import EARLIER, take_over
from chunk_ppo_ros.data.rollout_journal import NAME, RolloutJournal
from chunk_ppo_ros.reporting.metrics_log import MetricsLog


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run that is loaded.

    Attributes:
        learner: its learner.
        metrics: its metrics file and wandb, which are open.
        journal: its journal, which is opened and begun. Nobody else may write it.
        findings: what is wrong in the journal, in words.
    """

    learner: Learner
    metrics: MetricsLog
    journal: RolloutJournal
    findings: tuple[str, ...] = ()

    def close(self) -> None:
        """Closes the files of the run."""
        self.metrics.close()
        self.journal.close()


class RunLoader:
    """Loads the run, again where the node is cleaned up and configured again.

    Args:
        config: the configuration of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._journal: RolloutJournal | None = None  # of the run that was loaded last

    def load(self) -> LoadedRun:
        """Returns the run. It begins, or goes on where `run.resume` is set. This runs in the worker thread.

        After the first call that did not fail, the first checkpoint is on disk. All later calls go on from the newest
        one, also where the node was cleaned up before it knew of the first. A first call that fails leaves no
        checkpoint.

        Raises:
            UserError: when the run cannot begin or go on, or another trainer runs it.
        """
        config = self._config
        if self._journal is not None:
            self._journal.close()  # Where the node was cleaned up while the run was loaded, nobody else closed it yet.
        journal = self._journal = RolloutJournal(config.run.folder / "store" / NAME)
        contents = journal.open()  # first, so that a second trainer touches nothing
        try:
            with removed_after_failure(config.run.checkpoint_folder, unless=lambda: config.run.resume):
                learner = Learner.start(config)
                journal.begin_run(learner.run_id, learner.consumed)
                if config.run.resume:
                    take_over(config.run.folder / EARLIER, journal)
                given = RunStart.of_environment(os.environ)
                metrics = open_metrics(learner, config, form="graph", run_start=given)
        except BaseException:  # After Ctrl-C too the journal must be free for the next try.
            journal.close()
            raise
        self._config = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
        return LoadedRun(learner, metrics, journal, tuple(map(str, contents.holes)))
