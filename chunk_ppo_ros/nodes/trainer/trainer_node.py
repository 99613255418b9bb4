"""trainer_node: transitions in, policy versions out.

A transition is answered when it is on disk. When enough have come, the worker thread updates and writes a checkpoint;
only then is the next version announced and the old journal removed. Whatever fails in between, the rollout is there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_msgs import msg
from rclpy.duration import Duration
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.nodes.common.progress_bars import RolloutBar, update_bar
from chunk_ppo_ros.nodes.common.runner import EndOfRun
from chunk_ppo_ros.nodes.common.worker import Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode, run_worker_node
from chunk_ppo_ros.nodes.trainer.rollout_buffer import Acknowledgment, RolloutBuffer
from chunk_ppo_ros.nodes.trainer.training_log import TrainingLog
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.report import write_report
from chunk_ppo_ros.reporting.run_metrics import time_metrics

_SECTIONS = ("model", "ppo", "env", "reward", "pretrain", "run")
_SAVE_RETRY_PERIOD = 10.0  # s, steady time
_LAST_WORDS_TIMEOUT = Duration(seconds=2)


class TrainerNode(WorkerNode):
    """Collects the transitions of one version, updates on them, and announces the next."""

    def __init__(self) -> None:
        super().__init__("trainer_node", *_SECTIONS)
        self._run_dir = Path(self.config.run.run_dir) / self.config.run.exp_name
        self._journal = TransitionJournal(self._run_dir / "journal")
        self._started: Learner | None = None
        self._buffer: RolloutBuffer | None = None
        self._is_updating = False
        self._unsaved_metrics: Metrics | None = None
        self._saved_at = 0.0  # last attempt, s of steady time
        self._started_at = 0.0  # the present rollout, s of steady time
        self._bar = RolloutBar()
        self._log = TrainingLog(self)
        self._version_publisher = self.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self._ack_publisher = self.create_publisher(msg.TransitionAck, "transition_ack", qos.ACKNOWLEDGEMENT)
        self.create_subscription(msg.EpisodeEvent, "episode_event", self._on_episode_event, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.Transition, "transition", self._on_transition, qos.TRANSITION, raw=True)
        self.start()

    # Lifecycle.

    def configure(self) -> None:
        """Submits loading the start. The update compiles after it, while the first rollout is collected."""
        config, run_dir = self.config, self._run_dir

        def begin() -> tuple[Learner, MetricsLog]:
            learner = Learner.start(config)
            return learner, MetricsLog.open(run_dir, config=config, run_id=learner.run_id)

        self.submit(begin, self._on_begun)

    def _on_begun(self, outcome: Outcome[tuple[Learner, MetricsLog]]) -> None:
        try:
            self._started, self._log.file = outcome.result()
        except UserError as error:
            if self.config.run.autostart:
                raise
            self.complain("start", f"training cannot start: {error}", error=True)
            return
        learner = self._started
        self.get_logger().info(
            f"run {learner.run_id} starts from {learner.provenance} at version {learner.policy_version}"
        )
        self._buffer = self._new_buffer()
        stale = self._journal.clear(keep_version=learner.policy_version if self.config.run.resume else None)
        if stale:
            self.get_logger().info(f"journals of past versions or other runs are removed: {', '.join(stale)}")
        self._restore()
        self.submit(learner.warm_up, lambda outcome: outcome.result())
        self.set_ready()

    def _restore(self) -> None:
        buffer = self._required_buffer()
        for refusal in buffer.restore():
            self.get_logger().error(f"a journaled transition is not used, {refusal}")
        if buffer.num_accepted:
            self.get_logger().info(f"{buffer.num_accepted} transitions are back from the journal")

    def activated(self) -> None:
        """Announces the version; goes on with an update that waits."""
        version, total = self._required_buffer().version, self.config.ppo.total_timesteps
        self.get_logger().info(f"version {version}: {self._learner.num_steps}/{total} steps trained on")
        self._start_rollout()

    def deactivated(self) -> None:
        self._bar.close()

    def cleaned_up(self) -> None:
        self._log.close()
        self._started = self._buffer = self._unsaved_metrics = None
        self._is_updating = False

    def destroy_node(self) -> None:
        self._bar.close()
        self._log.close()
        super().destroy_node()

    # Collecting.

    def _on_transition(self, raw: bytes) -> None:
        message = deserialize_message(raw, msg.Transition)
        acknowledgment = self._acknowledgment_of(raw, message)
        self._acknowledge(message.run_id, message.sequence_number, acknowledgment)
        self._tell_refusal(message, acknowledgment)
        if acknowledgment.status == msg.TransitionAck.ACCEPTED:
            self._bar.update()
            self._update_if_complete()

    def _acknowledgment_of(self, raw: bytes, message: msg.Transition) -> Acknowledgment:
        if self._buffer is None or not self.is_active:
            return Acknowledgment(msg.TransitionAck.RETRY, "trainer_node is not active")
        return self._buffer.add(raw, message)

    def _tell_refusal(self, message: msg.Transition, acknowledgment: Acknowledgment) -> None:
        """Once per reason and change, not per transition."""
        ack = msg.TransitionAck
        if acknowledgment.status == ack.RETRY:
            text = f"transitions cannot be accepted now: {acknowledgment.reason}"
            self.complain("journal", text, about=acknowledgment.reason, error=True)
        elif acknowledgment.status == ack.REFUSED_INVALID:
            text = f"transition {message.sequence_number} is refused: {acknowledgment.reason}"
            self.complain("invalid", text, about=acknowledgment.reason, error=True)
        elif acknowledgment.status == ack.REFUSED_VERSION:
            text = f"transition {message.sequence_number} is refused, not trained on: {acknowledgment.reason}"
            self.complain("version", text, about=(message.policy_version, self._required_buffer().version))
        elif acknowledgment.status == ack.ACCEPTED:
            self.relieve("journal", "transitions are accepted again")
            self.relieve("invalid")
            self.relieve("version")

    def _acknowledge(self, run_id: str, sequence_number: int, acknowledgment: Acknowledgment) -> None:
        buffer = self._buffer
        self._ack_publisher.publish(
            msg.TransitionAck(
                run_id=run_id,
                sequence_number=sequence_number,
                status=acknowledgment.status,
                message=acknowledgment.reason,
                policy_version=buffer.version if buffer else 0,
                num_accepted=buffer.num_accepted if buffer else 0,
                num_required=self.config.ppo.num_chunks_per_update,
            )
        )

    def _on_episode_event(self, message: msg.EpisodeEvent) -> None:
        if self._buffer is None or message.event != msg.EpisodeEvent.ENDED:
            return
        if message.run_id != self._learner.run_id:
            return
        if message.outcome == msg.EpisodeEvent.DISCARDED:
            self._discard(message.episode)
        else:
            self._log.write_episode(message, self._learner.counters)

    def _discard(self, episode: int) -> None:
        if self._is_updating:
            text = f"episode {episode} is discarded after its update began: what it gave to this rollout is trained on"
            self.get_logger().warning(text)
            return
        self._bar.close()
        dropped = self._required_buffer().discard(episode)
        for sequence_number in dropped:
            acknowledgment = Acknowledgment(msg.TransitionAck.DISCARDED, f"episode {episode} is discarded")
            self._acknowledge(self._learner.run_id, sequence_number, acknowledgment)
        self.get_logger().info(f"episode {episode} is discarded with {len(dropped)} transitions of this rollout")
        self._open_bar()

    # Updating.

    def _update_if_complete(self) -> None:
        buffer = self._required_buffer()
        if self._is_updating or not buffer.is_complete:
            return
        self._is_updating = True
        self._bar.close()
        transitions = buffer.transitions[: buffer.num_required]
        rollout_time = time.monotonic() - self._started_at
        self.submit(lambda: self._update(transitions, rollout_time), self._on_updated)

    def _update(self, transitions: list[Transition], rollout_time: float) -> Metrics:
        """In the worker."""
        started = time.monotonic()
        with update_bar(self._learner.policy_version) as on_minibatch:
            metrics = self._learner.update(transitions, progress=on_minibatch)
        return metrics | time_metrics(rollout=rollout_time, update=time.monotonic() - started)

    def _on_updated(self, outcome: Outcome[Metrics]) -> None:
        try:
            self._unsaved_metrics = outcome.result()
        except (UserError, ValueError) as error:
            self._is_updating = False
            text = (
                f"the update of version {self._required_buffer().version} failed: {error}. The weights and the "
                "rollout are kept; discard the episode, or deactivate and activate trainer_node to try again"
            )
            self.complain("update", text, error=True)
            return
        self.relieve("update", "the update is made")
        self._save()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        self.submit(self._learner.save, self._on_saved)

    def _on_saved(self, outcome: Outcome[Path]) -> None:
        try:
            outcome.result()
        except UserError as error:
            text = f"the update is made but not saved, so it is not announced; it is tried again: {error}"
            self.complain("save", text, error=True)
            return
        self.relieve("save", "the checkpoint is saved")
        assert self._unsaved_metrics is not None
        refused = Metrics({"transitions/refused": float(self._required_buffer().num_refused)})
        self._log.write_update(self._unsaved_metrics | refused, self._learner.counters)
        self._unsaved_metrics = None
        self._is_updating = False
        trained = frozenset(transition.id.sequence_number for transition in self._required_buffer().transitions)
        self._buffer = self._new_buffer(trained)
        self._journal.clear(keep_version=self._learner.policy_version)
        if self.is_active:
            self._start_rollout()

    def watch(self) -> None:
        """Tries again to save what is updated but not saved."""
        waits = self._unsaved_metrics is not None and not self.is_working
        if waits and time.monotonic() - self._saved_at >= _SAVE_RETRY_PERIOD:
            self._save()

    # Announcing.

    def _start_rollout(self) -> None:
        self._started_at = time.monotonic()
        self._announce()
        if self._is_finished:
            self.get_logger().info("training has reached its end")
            self.submit(lambda: write_report(self._run_dir), self._on_report)
        else:
            self._open_bar()
            self._update_if_complete()

    def _announce(self) -> None:
        """The newest saved version; never one whose checkpoint is not on disk."""
        learner, buffer = self._learner, self._required_buffer()
        newest = buffer.transitions[-1].id if buffer.num_accepted else None
        counters = learner.counters
        self._version_publisher.publish(
            msg.PolicyVersion(
                stamp=self.get_clock().now().to_msg(),
                run_id=learner.run_id,
                version=buffer.version,
                checkpoint=str(learner.checkpoint.resolve()),
                num_accepted=buffer.num_accepted,
                num_required=buffer.num_required,
                next_sequence_number=max(counters.next_sequence_number, newest.sequence_number + 1 if newest else 0),
                next_episode=max(counters.next_episode, newest.episode + 1 if newest else 0),
                num_chunks=learner.num_chunks,
                num_steps=learner.num_steps,
                final=self._is_finished,
            )
        )

    def _on_report(self, outcome: Outcome[object]) -> None:
        try:
            outcome.result()
        except OSError as error:
            self.get_logger().error(f"the report cannot be written: {error}")
        self._version_publisher.wait_for_all_acked(_LAST_WORDS_TIMEOUT)
        raise EndOfRun

    # Small things.

    @property
    def _learner(self) -> Learner:
        assert self._started is not None, "the learner exists once the node is configured"
        return self._started

    @property
    def _is_finished(self) -> bool:
        """Whether no update follows; an update that is made but not saved does not count yet."""
        return self._learner.finished and not self._is_updating

    def _required_buffer(self) -> RolloutBuffer:
        assert self._buffer is not None, "the buffer exists once the node is configured"
        return self._buffer

    def _new_buffer(self, trained: frozenset[int] = frozenset()) -> RolloutBuffer:
        return RolloutBuffer(
            run_id=self._learner.run_id,
            version=self._learner.policy_version,
            num_required=self.config.ppo.num_chunks_per_update,
            journal=self._journal,
            check=self._learner.check,
            trained=trained,
        )

    def _open_bar(self) -> None:
        buffer = self._required_buffer()
        self._bar.open(version=buffer.version, num_accepted=buffer.num_accepted, num_required=buffer.num_required)


def main(args: Sequence[str] | None = None) -> int:
    """Runs trainer_node."""
    return run_worker_node(TrainerNode, args)


if __name__ == "__main__":
    sys.exit(main())
