"""Makes the update of a complete rollout in the worker thread of trainer_node, and saves the version that it makes."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.worker import Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.intake.failed_updates import UpdateFailed
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun

SAVE_RETRY_PERIOD = 10.0
"""The time after which a version that could not be saved is saved again, s of steady time."""


class UpdateCycle:
    """Leads a rollout through its update and its checkpoint.

    An update that fails because of some transitions sets these aside. One that fails for another reason is a condition
    of the node, and the run waits. A version that cannot be saved is saved again until there is room.

    Args:
        node: trainer_node, whose worker thread updates and saves.
        acknowledger: takes back that transitions were accepted which are set aside.
        on_failed: is called when an update failed and what it failed because of is set aside.
        on_set_aside: is called after that when transitions were set aside, so that the rollout is filled up again.
        on_saved: is called when a version is saved, with the metrics of its update.
    """

    def __init__(
        self,
        node: WorkerNode,
        acknowledger: Acknowledger,
        *,
        on_failed: Callable[[TrainingRun], None],
        on_set_aside: Callable[[TrainingRun], None],
        on_saved: Callable[[TrainingRun, Metrics], None],
    ) -> None:
        self._node = node
        self._acknowledger = acknowledger
        self._after_failing = on_failed
        self._on_set_aside = on_set_aside
        self._after_saving = on_saved
        self._saved_at = 0.0  # the time of the last attempt to save, s of steady time

    def begin(self, run: TrainingRun, *, rollout_time: float) -> None:
        """Submits the update of a rollout that is complete.

        Args:
            run: the run.
            rollout_time: the time that the rollout took, s.
        """
        run.is_updating = True
        transitions = run.buffer.transitions[: run.buffer.num_required]
        self._node.submit(
            lambda: run.update(transitions, rollout_time=rollout_time), lambda outcome: self._on_updated(run, outcome)
        )

    def save_again(self, run: TrainingRun) -> None:
        """Submits saving a version that could not be saved, when `SAVE_RETRY_PERIOD` has passed since the last time."""
        if run.unsaved_metrics is None or self._node.is_working:
            return
        if time.monotonic() - self._saved_at >= SAVE_RETRY_PERIOD:
            self._save(run, run.unsaved_metrics)

    def _on_updated(self, run: TrainingRun, outcome: Outcome[Metrics]) -> None:
        try:
            run.unsaved_metrics = outcome.result()
        except UpdateFailed as failure:
            run.is_updating = False
            self._on_failed(run, failure)
            return
        run.failed_updates.begin_anew()
        self._node.clear_condition(condition_table.UPDATE_FAILED)
        self._node.clear_condition(condition_table.TRANSITIONS_SET_ASIDE)
        self._save(run, run.unsaved_metrics)

    def _on_failed(self, run: TrainingRun, failure: UpdateFailed) -> None:
        """Sets aside what an update failed because of, and has the rollout filled up; else the run waits for help."""
        offenders = run.set_offenders_aside(failure, self._node.get_logger())
        self._after_failing(run)
        if not offenders:
            reason = f"{run.failed_updates.why_paused}{failure}"
            self._node.raise_condition(condition_table.UPDATE_FAILED, version=run.buffer.version, reason=reason)
            return
        self._acknowledger.report_offenders(offenders, run.buffer)
        self._on_set_aside(run)

    def _save(self, run: TrainingRun, metrics: Metrics) -> None:
        self._saved_at = time.monotonic()
        self._node.submit(run.learner.save, lambda outcome: self._on_saved(run, metrics, outcome))

    def _on_saved(self, run: TrainingRun, metrics: Metrics, outcome: Outcome[Checkpoint]) -> None:
        try:
            outcome.result()
        except (UserError, OSError) as error:
            self._node.raise_condition(condition_table.CHECKPOINT_NOT_STORED, reason=str(error))
            return
        self._node.clear_condition(condition_table.CHECKPOINT_NOT_STORED)
        self._after_saving(run, metrics)
