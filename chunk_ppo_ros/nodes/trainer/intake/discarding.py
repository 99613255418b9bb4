"""Drops the transitions of episodes that are discarded, and tells their senders."""

from __future__ import annotations

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.trainer.versions.announcer import Announcer


class Discarding:
    """Drops the transitions of discarded episodes from the rollout.

    Args:
        node: trainer_node, which logs what is dropped.
        acknowledger: tells the senders that their transitions are discarded.
        announcer: announces how many transitions are left.
    """

    def __init__(self, node: WorkerNode, acknowledger: Acknowledger, announcer: Announcer) -> None:
        self._node = node
        self._acknowledger = acknowledger
        self._announcer = announcer

    def discard(self, run: TrainingRun, sender: str, episode: int) -> None:
        """Drops the transitions of an episode. Those that an update has taken are dropped only if it fails.

        An episode that is discarded already, of which reward_node tells again, changes nothing.
        """
        if run.journal.is_discarded(sender, episode):
            return
        if run.is_updating:
            run.discard_later(sender, episode)
            text = f"episode {episode} is discarded after the update began, so its transitions are still trained on"
            self._node.get_logger().warning(f"{text} unless the update fails")
        else:
            self._drop(run, sender, episode)

    def drop_after_failure(self, run: TrainingRun) -> None:
        """Drops the episodes that were discarded while an update was being made that has failed."""
        for sender, episode in run.take_discarded():
            self._drop(run, sender, episode)

    def _drop(self, run: TrainingRun, sender: str, episode: int) -> None:
        dropped = run.discard(sender, episode)
        if dropped:
            self._announcer.announce_count(run)
        discarded = Acknowledgment(msg.TransitionAck.DISCARDED, f"episode {episode} is discarded")
        for id in dropped:
            self._acknowledger.acknowledge(id, discarded, run.buffer)
        text = f"episode {episode} is discarded with {count_of(len(dropped), 'transition')} of this rollout"
        self._node.get_logger().info(text)
