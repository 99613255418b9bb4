"""Decides how chunks ended whose reports are complete, and what follows for their episode."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards import chunk_join, referee
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Closing
from chunk_ppo_ros.rewards.episodes import Ending


class ChunkReferee:
    """Applies the rules of `rewards/referee.py` to the records of the run.

    Args:
        config: the configuration.
        records: the records of the run.
        director: directs the episodes.
        outcomes: publishes how chunks ended.
        was_stopped: returns whether a chunk that ended with this status was refused because of an emergency stop.
        look_for_restarts: looks which nodes were started anew, and ends the episode where one has lost the robot.
        credit: takes feedback on a chunk that does not count.
    """

    def __init__(
        self,
        config: TrainConfig,
        records: RunRecords,
        director: EpisodeDirector,
        outcomes: OutcomePublisher,
        *,
        was_stopped: Callable[[Status], bool],
        look_for_restarts: Callable[[], None],
        credit: Callable[[float], None],
    ) -> None:
        self._config = config
        self._records = records
        self._director = director
        self._outcomes = outcomes
        self._was_stopped = was_stopped
        self._look_for_restarts = look_for_restarts
        self._credit = credit

    def decide_complete(self) -> None:
        """Decides how the chunks ended whose reports are complete."""
        for joined in self._records.join.pop_complete():
            self._decide(joined)

    def _decide(self, joined: chunk_join.Joined) -> None:
        """Decides how a chunk ended.

        The discarding of the episode, or a pause, is published before the outcome, so that policy_node does not go on.
        """
        records, id, execution = self._records, joined.chunk.id, joined.execution
        if execution.status is Status.INTERRUPTED:
            self._void(id, execution)
            return
        judged = self._judge(joined)
        failed = judged.robot_fault and execution.status is Status.FAULT
        if records.mark is None and (failed or self._was_stopped(execution.status)):
            self._director.fail(judged.reason)
        elif judged.robot_fault:
            self._director.spoil(judged.reason)
        elif not judged.valid and execution.status in (Status.REFUSED, Status.LIMITED):
            self._director.note_refusal(judged.reason)
        self._outcomes.publish(id, judged)
        records.assembler.add_outcome(id, judged.outcome)
        if judged.valid:
            self._count(id, judged, human_driven=execution.human_driven)
        elif joined.feedback is not None:
            self._credit(joined.feedback)
        if records.mark is not None:
            self._director.apply_mark(records.mark)

    def _void(self, id: ChunkId, execution: ExecutionResult) -> None:
        """Counts a chunk that ran when robot_node or the simulator died, as robot_node says, and ends its episode."""
        who = "the simulator" if len(execution.causes) else "robot_node"  # only this robot_node knows what it commanded
        self._director.void_running(id, execution.stamp, f"{who} died", is_certain=True)
        self._look_for_restarts()  # Otherwise the next look would find robot_node started anew in the next episode.
        if self._records.is_current(id):
            self._director.interrupt(f"{who} died: {execution.message}")

    def _judge(self, joined: chunk_join.Joined) -> referee.JudgedChunk:
        config, records = self._config, self._records
        num_steps = 0 if joined.execution.human_driven else joined.execution.num_steps
        limit = records.episodes.num_steps + num_steps >= config.max_episode_steps
        judged = referee.judge(joined, config=config.reward, time_limit_reached=limit)
        if records.mark is not None and judged.valid:
            judged = judged.marked(success=records.mark.ending is Ending.SUCCESS, config=config.reward)
        return judged

    def _count(self, id: ChunkId, judged: referee.JudgedChunk, *, human_driven: bool) -> None:
        """Adds a valid chunk to its episode. The time limit counts only the policy's steps."""
        records, outcome = self._records, judged.outcome
        records.last = None if outcome.cut_by_takeover else id
        if not outcome.fault:
            self._director.forget_failures()
        records.episodes.add_chunk(outcome.reward, num_steps=0 if human_driven else outcome.num_steps)
        if records.mark is not None:
            return
        ending, message = judged.ending()
        if outcome.terminated:
            self._director.close(ending, message)
        elif outcome.truncated:
            # The scene must not be reset until policy_node has sent its value, which is this chunk's next value.
            version = records.versions[id.sequence_number]
            records.closing, records.closing_since = Closing(id, version, ending, message), time.monotonic()
