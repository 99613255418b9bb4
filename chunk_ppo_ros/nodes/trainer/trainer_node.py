"""trainer_node collects transitions, trains on them, and announces new policy versions.

A transition is acknowledged when it survives a power cut. When there are enough, the worker thread updates and writes a
checkpoint, which also says which transitions are in its weights. Only then is the next version announced. So nothing is
lost and nothing is trained on twice, whatever fails in between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import SAVED_VERSION, HandledInputs
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.progress_bars import RolloutBar
from chunk_ppo_ros.nodes.common.runner import EndOfRun, run_node
from chunk_ppo_ros.nodes.common.status.diagnostics import Value
from chunk_ppo_ros.nodes.common.worker import Failed, Outcome, Succeeded
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.disk_budget import DiskBudget
from chunk_ppo_ros.nodes.trainer.episode_reports import EpisodeReports
from chunk_ppo_ros.nodes.trainer.handover import Handover
from chunk_ppo_ros.nodes.trainer.intake.discarding import Discarding
from chunk_ppo_ros.nodes.trainer.intake.set_aside import SetAside
from chunk_ppo_ros.nodes.trainer.intake.transition_receiver import TransitionReceiver
from chunk_ppo_ros.nodes.trainer.run_loader import LoadedRun, RunLoader
from chunk_ppo_ros.nodes.trainer.status.awaited import awaited
from chunk_ppo_ros.nodes.trainer.status.trainer_values import trainer_values
from chunk_ppo_ros.nodes.trainer.training_log import TrainingLog
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.trainer.versions.announcer import Announcer
from chunk_ppo_ros.nodes.trainer.versions.update_cycle import UpdateCycle
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.reporting.report_writer import ReportWriter

_SECTIONS = ("model", "ppo", "env", "episode", "chunk_length", "robot", "reward", "pretrain", "run")


class TrainerNode(WorkerNode):
    """Collects the transitions of one version, trains on them, and announces the next version."""

    def __init__(self) -> None:
        super().__init__("trainer_node", *_SECTIONS)
        self._hand_over = Handover(self)
        self._loader = RunLoader(self.config)
        self._run: TrainingRun | None = None  # It exists from configuring to cleaning up.
        self._started_at = 0.0  # the start of the present rollout, s of steady time
        self._bar = RolloutBar()
        self._disk = DiskBudget(self)
        self._log = TrainingLog(self)
        self._report = ReportWriter(self.config.run.folder)
        self._announcer = Announcer(self)
        self._inputs = HandledInputs(self, run_id=lambda: self._run_id, ros_time=self.ros_time.now)
        self._acknowledger = Acknowledger(self, num_required=self.config.ppo.num_chunks_per_update)
        self._discarding = Discarding(self, self._acknowledger, self._announcer)
        self._updates = UpdateCycle(
            self,
            self._acknowledger,
            on_failed=self._discarding.drop_after_failure,
            on_set_aside=self._on_set_aside,
            on_saved=self._on_saved,
        )
        self._guard = PublisherGuard(self, self)
        self._episodes = EpisodeReports(self, self._guard, run_id=lambda: self._run_id, on_end=self._on_episode_end)
        self._set_aside = SetAside(self.config.run.folder / "store")
        TransitionReceiver(
            self,
            self._acknowledger,
            self._set_aside,
            self._guard,
            self._inputs,
            run=lambda: self._run,
            before_answer=self._announce_count,
            on_accepted=self._on_accepted,
        )
        self.start()

    # The methods below follow the lifecycle.

    def configure(self) -> None:
        """Submits loading the learner. The update compiles after that, while the first rollout is collected."""
        self._report = ReportWriter(self.config.run.folder)
        self.submit(self._loader.load, self._on_loaded, dropped=self._on_loaded_too_late)

    def _on_loaded(self, outcome: Outcome[LoadedRun]) -> None:
        try:
            run = self._begin(outcome.result())
        except Exception as error:  # Whatever it is, the file of metrics is closed, and the error is raised or told.
            self._log.close()
            self._on_start_failed(error, ends=self.starts_itself)
            return
        self._run = run
        self._episodes.hand_on()
        self._report.request()  # A run that is stopped before its first update has a page too.
        ends = self.starts_itself
        if not run.is_finished:
            self.get_logger().info("compiling the update, while the first rollout is collected")
            self.submit(run.learner.warm_up, lambda outcome: self._on_warm(outcome, ends=ends))
        self.set_ready()

    def _on_warm(self, outcome: Outcome[None], *, ends: bool) -> None:
        if isinstance(outcome, Failed):
            self._on_start_failed(outcome.error, ends=ends)

    def _on_start_failed(self, error: Exception, *, ends: bool) -> None:
        """Ends the process where the node starts itself. Where an operator has configured it, the operator is told."""
        if ends:
            raise error
        self.raise_condition(condition_table.START_FAILED, reason=str(error))

    def _on_loaded_too_late(self, outcome: Outcome[LoadedRun]) -> None:
        """Closes the files of a run that was loaded after the node had been cleaned up."""
        if isinstance(outcome, Succeeded):
            outcome.value.close()

    def _begin(self, loaded: LoadedRun) -> TrainingRun:
        """Returns the run of the loaded learner, with the transitions of its version that the journal holds."""
        self._log.file = loaded.metrics
        for line in loaded.learner.startup_messages:
            self.get_logger().info(line)
        self._disk.tell()
        for finding in loaded.findings:
            self.get_logger().error(f"the journal is damaged: {finding}")
        self._set_aside.begin_run(loaded.learner.run_id)
        run = TrainingRun.of(loaded, self.config, self._set_aside, self._hand_over)
        run.begin_rollout(self.get_logger())
        if run.buffer.num_accepted:
            self._episodes.first.expect(run.learner.run_id)
        return run

    def activated(self) -> None:
        """Announces the version, and makes an update that waits."""
        if self._run is not None:
            version, total = self._run.buffer.version, self.config.ppo.total_timesteps
            self.get_logger().info(f"version {version}: {self._run.learner.num_steps}/{total} steps trained on")
            self._run.failed_updates.begin_anew()
            self._start_rollout(self._run)

    def deactivated(self) -> None:
        """Removes the progress bar. Transitions are no longer accepted."""
        self._bar.close()

    def cleaned_up(self) -> None:
        """Drops the learner and its rollout."""
        self._log.close()
        self._report.leave()
        self._set_aside.close()  # Before the journal, in which it marks what it has stored.
        run, self._run = self._run, None
        if run is not None:
            run.journal.close()

    def destroy_node(self) -> None:
        """Closes the files and removes the progress bar."""
        self._bar.close()
        self.cleaned_up()
        self._hand_over.close()
        super().destroy_node()

    # The methods below collect transitions.

    def _on_accepted(self, run: TrainingRun) -> None:
        self._bar.update()
        self._update_if_complete(run)

    @property
    def _run_id(self) -> str:
        """The identity of the loaded run, or an empty string while there is none."""
        return "" if self._run is None else self._run.learner.run_id

    def _on_episode_end(self, message: msg.EpisodeEvent) -> None:
        run = self._run
        if run is None:
            return
        run.checks.window.note_episode(message.sender, message.episode)
        if message.outcome == msg.EpisodeEvent.DISCARDED:
            self._bar.close()
            self._discarding.discard(run, message.sender, message.episode)
            if self.is_active and not run.is_updating:
                self._open_bar(run)
        else:
            self._log.write_episode(message, run.learner.counters)
        self._inputs.tell(topics.EPISODE_EVENT.name, message.episode)

    # The methods below update and save.

    def _update_if_complete(self, run: TrainingRun) -> None:
        if run.is_updating or not run.buffer.is_complete or self._episodes.first.must_wait():
            return
        self._bar.close()
        self._updates.begin(run, rollout_time=time.monotonic() - self._started_at)

    def _on_set_aside(self, run: TrainingRun) -> None:
        if self.is_active:
            self._collect(run)

    def _on_saved(self, run: TrainingRun, metrics: Metrics) -> None:
        """Writes the metrics of a version that is on disk, and begins the rollout of it."""
        refused = Metrics(
            {
                "transitions/refused": float(run.buffer.num_refused),
                "transitions/set_aside": float(self._set_aside.take_count()),
            }
        )
        self._log.write_update(metrics | refused, run.learner.counters)
        run.unsaved_metrics = None
        run.is_updating = False
        run.take_discarded()
        run.begin_rollout(self.get_logger())
        self._disk.keep(run.journal)
        self._report.request()
        if self.is_active:
            self._start_rollout(run)

    def values(self) -> dict[str, Value]:
        """Returns what is waited for, how far training and the rollout are, and the numbers of the newest update."""
        waits_for = awaited(self, self._run, self._episodes.first)
        return trainer_values(self._run, self.config, self._log.update, waits_for=waits_for)

    def watch(self) -> None:
        """Looks whether foreign nodes are gone, and goes on with an update that waits to be made or to be saved."""
        self._guard.watch()
        if self._run is not None:
            self._updates.save_again(self._run)
            if self.is_active and self._episodes.first.waits:
                self._update_if_complete(self._run)

    # The methods below announce versions and begin rollouts.

    def _announce_count(self, run: TrainingRun | None) -> None:
        if run is not None and run is self._run:
            self._announcer.announce_count(run)

    def _start_rollout(self, run: TrainingRun) -> None:
        self._started_at = time.monotonic()
        self._inputs.tell(SAVED_VERSION, run.buffer.version)
        self._collect(run)

    def _collect(self, run: TrainingRun) -> None:
        """Announces the version and how many transitions of it are here, and updates if these are enough."""
        self._announcer.announce(run)
        if run.is_finished:
            newest = run.learner.checkpoint.root
            self.get_logger().info(f"training has reached its end; the newest checkpoint is {newest}")
            self.submit(self._report.close, self._on_report)
        else:
            self._open_bar(run)
            self._update_if_complete(run)

    def _on_report(self, outcome: Outcome[object]) -> None:
        try:
            outcome.result()
        except OSError as error:
            self.get_logger().error(f"the report cannot be written: {error}")
        self._announcer.wait_until_heard()
        raise EndOfRun(0 if self._run is None else self._run.exit_code(self.get_logger()))

    def _open_bar(self, run: TrainingRun) -> None:
        buffer = run.buffer
        self._bar.open(version=buffer.version, num_accepted=buffer.num_accepted, num_required=buffer.num_required)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(TrainerNode, args)


if __name__ == "__main__":
    main()
