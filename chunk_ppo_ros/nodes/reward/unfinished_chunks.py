"""Gives up the last chunks of interrupted episodes, if nobody has observed what follows them."""

from __future__ import annotations

from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Closing
from chunk_ppo_ros.rewards.chunk_records import Pending

CLOSING_PATIENCE = 10.0
"""The time in which policy_node sends a value that it has begun to compute before the robot died, s of the steady
clock. It is shorter than the time for which policy_node then holds, so that no value of a new scene is sent."""
PATIENCE = 25.0
"""The time in which policy_node sends again what it has stored, s of the steady clock.

It does so when it or reward_node was started anew, and again after ten seconds.
"""


class UnfinishedChunks:
    """Looks at chunks that have ended, but whose episode was interrupted before the next value was known.

    policy_node may have stored the next chunk, and sends it again. If it does not, the robot died before policy_node
    has observed what follows the chunk, which therefore counts as running.

    Args:
        records: the records of the run.
        director: directs the episodes.
        log: knows the outcomes.
    """

    def __init__(self, records: RunRecords, director: EpisodeDirector, log: RunLog) -> None:
        self._records = records
        self._director = director
        self._log = log
        self._since = 0.0  # steady s
        self._unseen: Closing | None = None  # the end that waits for a value of a scene that policy_node has not seen

    def note_unseen_scene(self) -> None:
        """Records that policy_node may not have seen the scene in which the episode waits for its last value.

        It was started anew, or the robot was while this process was away. It would send what it sees of a new scene.
        """
        self._unseen = self._records.closing

    def wait_anew(self, now: float) -> None:
        """Waits for policy_node from now on: a run begins, an episode was interrupted, or policy_node is a new one."""
        self._since = now

    def tick(self, now: float) -> None:
        """Gives up the chunks that get no next value any more, and ends an episode that waits for one in vain.

        Args:
            now: the present time of a steady clock, s.
        """
        records, closing = self._records, self._records.closing
        is_cut = closing is not None and closing.id.episode in records.interrupted
        if closing is not None and is_cut and (closing is self._unseen or now - self._since > CLOSING_PATIENCE):
            self._director.close(closing.ending, closing.message)
        for id in records.assembler.pending():
            if id.episode in records.interrupted and self._is_hopeless(id, now):
                known = self._log.ledger.find(id.sequence_number)
                if known is not None:
                    records.assembler.give_up(id)
                    records.versions.pop(id.sequence_number, None)
                    stamp = time_to_ns(known.outcome.header.stamp)
                    self._director.void_running(id, stamp, "robot_node or the simulator died")

    def _is_hopeless(self, id: ChunkId, now: float) -> bool:
        record = self._records.assembler.records.get(id.sequence_number)
        following = self._records.assembler.records.get(id.sequence_number + 1)
        has_ended = isinstance(record, Pending) and record.outcome is not None
        is_followed = following is not None and following.id.episode != id.episode
        return has_ended and (is_followed or now - self._since > PATIENCE)
