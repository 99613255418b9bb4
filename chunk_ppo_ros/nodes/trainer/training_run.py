"""The state of a training run in trainer_node: the learner, the present rollout, and the state of the last update."""

from __future__ import annotations

import dataclasses
import time

from chunk_ppo_msgs import msg
from rclpy.impl.rcutils_logger import RcutilsLogger

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import DEFAULT_SENDER, Transition
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.nodes.common.progress_bars import update_bar
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.reporting.run_metrics import time_metrics


@dataclasses.dataclass
class TrainingRun:
    """The parts of trainer_node that exist from the start of a run to its end.

    Attributes:
        learner: the learner, which the worker thread uses.
        num_required: the number of transitions that make an update.
        journal: the journal of accepted transitions.
        buffer: the transitions of the present version.
        is_updating: whether an update is being made, or is made and not saved yet.
        unsaved_metrics: the metrics of an update that is made and not saved, or None.
    """

    learner: Learner
    num_required: int
    journal: TransitionJournal
    buffer: RolloutBuffer = dataclasses.field(init=False)
    is_updating: bool = False
    unsaved_metrics: Metrics | None = None

    def __post_init__(self) -> None:
        self.begin_rollout()

    @property
    def is_finished(self) -> bool:
        """Whether no update follows. An update that is made but not saved does not count yet."""
        return self.learner.finished and not self.is_updating

    def begin_rollout(self, trained: frozenset[int] = frozenset()) -> None:
        """Begins the rollout of the learner's version.

        Args:
            trained: the sequence numbers that the update before was made from, whose transitions may be sent again.
        """
        self.buffer = RolloutBuffer(
            run_id=self.learner.run_id,
            version=self.learner.policy_version,
            num_required=self.num_required,
            journal=self.journal,
            check=self.learner.check,
            trained=trained,
        )

    def restore(self, logger: RcutilsLogger, *, resume: bool) -> None:
        """Takes the transitions of the learner's version that the journal holds, and logs which it does not take.

        Args:
            logger: the logger of the node.
            resume: whether the run goes on. Otherwise the whole journal is of other runs, and is removed.

        Raises:
            UserError: when the journal was written by another version of the package.
        """
        stale = self.journal.clear(keep_version=self.learner.policy_version if resume else None)
        if stale:
            logger.info(f"journals of past versions or other runs are removed: {', '.join(stale)}")
        for refusal in self.buffer.restore():
            logger.error(f"a journaled transition is not used, {refusal}")
        if self.buffer.num_accepted:
            logger.info(f"{self.buffer.num_accepted} transitions are restored from the journal")

    def update(self, transitions: list[Transition], *, rollout_time: float) -> Metrics:
        """Makes an update and returns its metrics. This runs in the worker thread.

        Args:
            transitions: the transitions of the rollout.
            rollout_time: the time that the rollout took, s.
        """
        started = time.monotonic()
        with update_bar(self.learner.policy_version) as on_minibatch:
            metrics = self.learner.update(transitions, progress=on_minibatch)
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

        A version whose checkpoint is not on disk is never announced.
        """
        learner, buffer, counters = self.learner, self.buffer, self.learner.counters
        newest = buffer.transitions[-1].id if buffer.num_accepted else None
        return msg.PolicyVersion(
            header=header_of(stamp),
            run_id=learner.run_id,
            sender=DEFAULT_SENDER,
            version=buffer.version,
            checkpoint=str(learner.checkpoint.root.resolve()),
            num_accepted=buffer.num_accepted,
            num_required=buffer.num_required,
            next_sequence_number=max(counters.next_sequence_number, newest.sequence_number + 1 if newest else 0),
            next_episode=max(counters.next_episode, newest.episode + 1 if newest else 0),
            num_chunks=learner.num_chunks,
            num_steps=learner.num_steps,
            final=self.is_finished,
        )
