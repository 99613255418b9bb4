"""Directs episodes for reward_node: asks for resets, and starts, ends, pauses and discards episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_publisher import EpisodePublisher
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.rewards import episodes, human, referee
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Mark, Progress
from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, Event, Phase

MAX_FAULTS = 3
"""The number of episodes in a row that may fail before reward_node pauses and asks the operator for help."""
_LETS_MOVE = (Event.STARTED, Event.RESUMED)


class EpisodeDirector:
    """Directs one episode after another.

    Args:
        node: the node, whose logger is used.
        records: the records of the run.
        publisher: publishes the changes of episodes.
        outbox: the transitions that the trainer has not acknowledged.
        outcomes: publishes how chunks ended.
        log: stores what is decided before it is published.
        config: the configuration of rewards.
        on_changes: takes the changes of an episode after they were published.

    Attributes:
        final: whether training has reached its end, so that no episode follows.
        ended: the end of the last episode of the present run, or None.
    """

    def __init__(
        self,
        node: Node,
        records: RunRecords,
        publisher: EpisodePublisher,
        outbox: TransitionOutbox,
        outcomes: OutcomePublisher,
        log: RunLog,
        config: RewardConfig,
        *,
        on_changes: Callable[[Sequence[EpisodeChange]], None],
    ) -> None:
        self.final = False
        self.ended: EpisodeChange | None = None
        self._logger = node.get_logger()
        self._records = records
        self._publisher = publisher
        self._outbox = outbox
        self._config = config
        self._outcomes = outcomes
        self._log = log
        self._on_changes = on_changes
        self._faults = 0
        self._refusals = 0

    def next_number(self, run_id: str) -> int:
        """Returns the first episode number that the run has not used, as the file on disk says."""
        self.ended = None
        return self._publisher.next_number(run_id)

    def forget_failures(self) -> None:
        """Sets the counts of faults and refusals to 0, because a chunk was executed or the operator has looked."""
        self._faults, self._refusals = 0, 0

    def publish(self, changes: Sequence[EpisodeChange]) -> None:
        """Logs and publishes changes of the episode, as soon as they are stored. A pause waits for no disk."""
        run_id = self._records.run_id
        for change in changes:
            if change.ending is Ending.DISCARDED:
                self._records.note_discarded(change.episode)
        if any(change.event is not Event.PAUSED for change in changes):
            self._log.publish_changes(changes, lambda: self._publish_stored(run_id, changes))
        else:
            self._publisher.publish(run_id, changes)
        self.ended = next((change for change in changes if change.event is Event.ENDED), self.ended)
        self._on_changes(changes)

    def _publish_stored(self, run_id: str, changes: Sequence[EpisodeChange]) -> None:
        """Publishes changes that are stored now. The robot must not move where a pause was published meanwhile."""
        moves = any(change.event in _LETS_MOVE for change in changes)
        pause = self._records.episodes.paused_again() if moves and run_id == self._records.run_id else []
        if pause:
            changes = [change for change in changes if change.event not in (Event.RESUMED, Event.PAUSED)]
        self._publisher.publish(run_id, [*changes, *pause])

    def next_episode(self, message: str) -> None:
        """Asks for the reset of the next episode."""
        records = self._records
        changes = records.episodes.begin(message)
        self._publisher.store_number(records.run_id, records.episodes.episode)
        self.publish(changes)

    def close(self, ending: Ending, message: str) -> None:
        """Ends the episode and asks for the reset of the next."""
        self._records.forget_ending()
        self.publish(self._records.episodes.end(ending, message))
        if not self.final:
            self.next_episode("the next episode")

    def discard(self, message: str) -> None:
        """Discards the episode with all its chunks and transitions that the trainer has not acknowledged."""
        records = self._records
        episode = records.episodes.episode
        for chunk in records.join.pop_episode(records.run_id, episode):
            self._outcomes.refuse(chunk.id, chunk.stamp, message)
        dropped = records.assembler.discard_episode(episode, records.run_id)
        for id in dropped:
            records.versions.pop(id.sequence_number, None)
        withdrawn = self._outbox.discard_episode(episode)
        self._outcomes.withdraw([*(id.sequence_number for id in dropped), *withdrawn], message)
        lost = f"{count_of(len(dropped), 'chunk')} dropped, {count_of(len(withdrawn), 'transition')} withdrawn"
        self._logger.warning(f"episode {episode} is discarded: {message} ({lost})")
        self.close(Ending.DISCARDED, message)

    def interrupt(self, message: str, *, stopped: bool = False) -> None:
        """Ends the episode, because robot_node or the simulator died. All chunks before the one that ran count.

        An episode that waits for the value after its time limit goes on to wait, because its last chunk has ended.
        `UnfinishedChunks` ends it as it would have ended where no value comes.

        Args:
            message: what happened, in words.
            stopped: whether nobody died, because the graph was stopped and started again.
        """
        records = self._records
        records.note_interrupted(stopped=stopped)
        if records.closing is not None:
            return
        for chunk in records.join.pop_episode(records.run_id, records.episodes.episode):
            self.void_running(chunk.id, chunk.stamp, message)
        if records.mark is not None:
            self._logger.warning(f"the mark {records.mark.ending.name} is dropped, because its chunk has no outcome")
        self.close(Ending.NONE if stopped else Ending.INTERRUPTED, message)

    def void_running(self, id: ChunkId, stamp: int, message: str, *, is_certain: bool = False) -> None:
        """Tells that a chunk makes no transition, because robot_node or the simulator died while it ran, and counts it.

        A chunk that ran when the graph was stopped makes none either, and does not count.

        Args:
            id: the identity of the chunk.
            stamp: the stamp of the chunk, ns.
            message: which node died.
            is_certain: whether robot_node says so itself, also in an episode that a stop has cut.
        """
        records = self._records
        stopped = id.episode in records.stopped and not is_certain
        outcome = self._outcomes.refuse(
            id, stamp, f"{'the run was stopped' if stopped else message} while the chunk ran"
        )
        records.assembler.add_outcome(id, outcome)
        if stopped:
            self._logger.info(f"chunk {id.sequence_number} ran when the run was stopped, and makes no transition")
            return
        records.running_when_robot_died += 1
        self._logger.warning(
            f"chunk {id.sequence_number} was running when robot_node or the simulator died, and makes no transition; "
            f"{count_of(records.running_when_robot_died, 'such chunk')} in this run"
        )

    def restore(self, progress: Progress) -> None:
        """Goes on from what an earlier process has counted, and tells again which episodes it has discarded."""
        self._faults, self._refusals = progress.num_faults, progress.num_refusals
        self._publisher.repeat_discarded(progress.run_id, progress.discarded)

    def go_on(self, changes: Sequence[EpisodeChange], *, started: int) -> None:
        """Publishes that an episode goes on or is paused. `started` is the stamp of its start, ns."""
        self._publisher.publish(self._records.run_id, changes, started=started)
        self._on_changes(())

    @property
    def failures(self) -> tuple[int, int]:
        """The numbers of episodes that failed in a row, and of chunks in a row of which nothing counted."""
        return self._faults, self._refusals

    @property
    def started(self) -> int:
        """The stamp of the newest start of an episode, ns."""
        return self._publisher.started

    def spoil(self, message: str) -> None:
        """Discards the episode, because the robot or a reward source failed. Pauses after too many such episodes."""
        if self._records.episodes.phase is Phase.IDLE:
            self._logger.error(message)
            return
        self.discard(message)
        self.note_fault(message)

    def fail(self, message: str) -> None:
        """Ends the episode, because the robot did not do what it was commanded.

        The chunks before count. The value after the last of them is that of the observation of the chunk that failed,
        of which nothing counts.
        """
        if self._records.episodes.phase is Phase.IDLE:
            self._logger.error(message)
            return
        self.close(Ending.FAILURE, f"robot fault: {message}")
        self.note_fault(message)

    def note_fault(self, message: str) -> None:
        """Counts an episode that failed, and pauses after too many in a row."""
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            self.hold(f"{self._faults} episodes in a row failed, the last by: {message}")

    def hold(self, text: str) -> None:
        """Pauses until the operator has looked at the robot."""
        self._logger.error(f"{text}; repair it and call the service pause with data: false")
        self.publish(self._records.episodes.hold(episodes.ROBOT, text))

    def apply_mark(self, mark: Mark) -> None:
        """Ends the episode as the operator said. Its last valid chunk gets the reward of the mark."""
        records = self._records
        amend = self._marking(mark.ending)
        changed = records.assembler.amend_outcome(records.last, amend) if records.last is not None else None
        if changed is not None and records.last is not None:
            before, after = changed
            records.episodes.amend_reward(after.reward - before.reward)
            self._outcomes.amend(records.last, after)
        else:
            self._logger.warning(
                f"the mark {mark.ending.name} ends the episode but rewards no chunk, because there is none or its "
                "reward is already sent"
            )
        self.close(mark.ending, mark.message)

    def _marking(self, ending: Ending) -> Callable[[ChunkOutcome], ChunkOutcome]:
        config, success = self._config, ending is Ending.SUCCESS
        return lambda outcome: human.marked(outcome, success=success, config=config)

    def note_refusal(self, reason: str) -> None:
        """Counts a chunk that was refused or passed no target, and pauses after too many in a row.

        The policy may sample again, because the robot is where the next observation sees it.
        """
        self._refusals += 1
        if self._refusals >= referee.MAX_REFUSALS:
            self.hold(f"{self._refusals} chunks in a row passed no target, the last by: {reason}")
