"""The state of a training run in trainer_node: the learner, the present rollout, and the state of the last update."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from chunk_ppo_msgs import msg
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.serialization import serialize_message

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.offenders import Offender
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import DEFAULT_SENDER, ChunkId, Transition
from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.nodes.common.progress_bars import update_bar
from chunk_ppo_ros.nodes.trainer.intake.checks import IntakeChecks
from chunk_ppo_ros.nodes.trainer.intake.failed_updates import FailedUpdates, UpdateFailed, updated
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.trainer.run_loader import LoadedRun
from chunk_ppo_ros.nodes.trainer.stored_transitions import StoredTransitions
from chunk_ppo_ros.nodes.trainer.transition_intake import HandOver, SetAside, TransitionIntake
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.reporting.run_metrics import time_metrics


@dataclasses.dataclass
class TrainingRun:
    """The parts of trainer_node that exist from the start of a run to its end.

    Attributes:
        learner: the learner, which the worker thread uses.
        num_required: the number of transitions that make an update.
        journal: the journal of accepted transitions, which is begun for this run.
        set_aside: stores transitions that no update takes.
        hand_over: hands a call over from the thread of a store to the executor.
        checks: checks the transitions, and knows how far their numbers have come.
        stored: the transitions of the journal that wait for an update.
        intake: answers the transitions that arrive.
        buffer: the transitions of the present version.
        failed_updates: counts the updates that failed because of their transitions.
        is_updating: whether an update is being made, or is made and not saved yet.
        unsaved_metrics: the metrics of an update that is made and not saved, or None.
    """

    learner: Learner
    num_required: int
    journal: RolloutJournal
    set_aside: SetAside
    hand_over: HandOver
    checks: IntakeChecks
    stored: StoredTransitions = dataclasses.field(init=False)
    intake: TransitionIntake = dataclasses.field(init=False)
    buffer: RolloutBuffer = dataclasses.field(init=False)
    failed_updates: FailedUpdates = dataclasses.field(init=False)
    is_updating: bool = False
    unsaved_metrics: Metrics | None = None
    _discarded: list[tuple[str, int]] = dataclasses.field(default_factory=list)  # episodes, since the update began

    def __post_init__(self) -> None:
        self.stored = StoredTransitions(self.journal, self.leave_out)
        self.intake = TransitionIntake(self.journal, self.stored, self.set_aside, self.hand_over)
        self.failed_updates = FailedUpdates(self.num_required)
        stored = self.journal.keys()
        for sender in sorted({DEFAULT_SENDER, *(sender for sender, _ in stored)}):
            self.stored.follow(self.checks.window, sender)
        self.buffer = self._empty_buffer()

    @classmethod
    def of(cls, loaded: LoadedRun, config: TrainConfig, set_aside: SetAside, hand_over: HandOver) -> TrainingRun:
        """Returns the run of a learner and a journal that are loaded."""
        checks = IntakeChecks.of(config, loaded.learner.counters, loaded.learner.check)
        num_required = config.ppo.num_chunks_per_update
        return cls(loaded.learner, num_required, loaded.journal, set_aside, hand_over, checks)

    @property
    def is_finished(self) -> bool:
        """Whether no update follows. An update that is made but not saved does not count yet."""
        return self.learner.finished and not self.is_updating

    def begin_rollout(self, logger: RcutilsLogger) -> None:
        """Begins the rollout of the learner's version, with the transitions of it that are stored and not trained on.

        Args:
            logger: logs how many these are, and which others are left out for good.

        Raises:
            OSError: when the journal cannot be read.
        """
        self.journal.mark_consumed(self.learner.consumed)
        self.buffer = self._empty_buffer()
        self._fill(logger)
        if self.buffer.num_accepted:
            logger.info(f"{clause(self.buffer.num_accepted, 'transition', 'is', 'are')} restored from the journal")

    def discard(self, sender: str, episode: int) -> list[ChunkId]:
        """Drops the transitions of an episode, also those that arrive later, and returns the dropped chunks."""
        self.journal.discard(sender, episode, lambda error: None)
        return self.buffer.drop_episode(sender, episode)

    def discard_later(self, sender: str, episode: int) -> None:
        """Marks an episode as discarded while an update takes its transitions, for the case that none is made."""
        self.journal.discard(sender, episode, lambda error: None)
        self._discarded.append((sender, episode))

    def take_discarded(self) -> list[tuple[str, int]]:
        """Returns the episodes that were discarded since the update began, and forgets them."""
        discarded, self._discarded = self._discarded, []
        return discarded

    def leave_out(self, key: ChunkKey, raw: bytes, reason: str) -> None:
        """Sets a stored transition aside, and then marks it in the journal, so that no update ever takes it."""

        def mark(error: OSError | None) -> None:
            if error is None:
                self.journal.leave_out(key, reason, lambda error: None)

        self.journal.exclude(key)
        self.set_aside(key, raw, reason, mark)

    def set_offenders_aside(self, failure: UpdateFailed, logger: RcutilsLogger) -> Sequence[Offender]:
        """Drops the transitions because of which an update failed, and returns them; none where the run pauses."""
        offenders = self.failed_updates.to_set_aside(failure)
        for offender in offenders:
            raw = serialize_message(conversions.transition_to_message(self.buffer.drop(offender.id.key)))
            self.leave_out(offender.id.key, raw, offender.reason)
        if offenders:
            self._fill(logger)
        return offenders

    def update(self, transitions: list[Transition], *, rollout_time: float) -> Metrics:
        """Makes an update and returns its metrics. This runs in the worker thread.

        Args:
            transitions: the transitions of the rollout.
            rollout_time: the time that the rollout took, s.

        Raises:
            UpdateFailed: when the update is not made.
        """
        started = time.monotonic()
        with update_bar(self.learner.policy_version) as on_minibatch:
            metrics = updated(self.learner, transitions, progress=on_minibatch)
        return metrics | time_metrics(rollout=rollout_time, update=time.monotonic() - started)

    def exit_code(self, logger: RcutilsLogger) -> int:
        """Returns the exit code of a run that is done, and logs again where nobody asked for its first weights."""
        origin = self.learner.provenance
        if not origin.is_fallback:
            return 0
        logger.error(f"the run was trained from {origin}")
        return FRESH_UNASKED

    def announcement(self, *, stamp: int) -> msg.PolicyVersion:
        """Returns the message of the newest saved version, with its stamp in ns of ROS time.

        A version whose checkpoint is not on disk is never announced. The next numbers are above all that this run has
        seen, also where it went back to an earlier checkpoint.
        """
        learner, buffer, window = self.learner, self.buffer, self.checks.window
        return msg.PolicyVersion(
            header=header_of(stamp),
            run_id=learner.run_id,
            sender=DEFAULT_SENDER,
            version=buffer.version,
            checkpoint=str(learner.checkpoint.root.resolve()),
            num_accepted=buffer.num_accepted,
            num_required=buffer.num_required,
            next_sequence_number=window.next_sequence_number(DEFAULT_SENDER),
            next_episode=window.next_episode(DEFAULT_SENDER),
            num_chunks=learner.num_chunks,
            num_steps=learner.num_steps,
            final=self.is_finished,
        )

    def _fill(self, logger: RcutilsLogger) -> None:
        for reason in self.stored.fill(self.buffer):
            logger.error(f"a stored transition is not trained on, {reason}")

    def _empty_buffer(self) -> RolloutBuffer:
        return RolloutBuffer(
            run_id=self.learner.run_id,
            version=self.learner.policy_version,
            num_required=self.num_required,
            journal=self.journal,
            check=self.checks.check,
        )
