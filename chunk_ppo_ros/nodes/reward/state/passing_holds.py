"""Pauses the episode where something is in the way that ends by itself, and lets it go on then."""

from __future__ import annotations

from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.rewards import episodes


class PassingHolds:
    """Holds the policy while transitions wait for trainer_node, or decisions for the disk.

    Args:
        records: the records of the run.
        director: directs the episodes.
        outbox: the transitions that the trainer has not acknowledged.
        log: knows whether the disk refuses what is decided.
        announcer: the node that acknowledges transitions.
    """

    def __init__(
        self,
        records: RunRecords,
        director: EpisodeDirector,
        outbox: TransitionOutbox,
        log: RunLog,
        *,
        announcer: str,
    ) -> None:
        self._records = records
        self._director = director
        self._outbox = outbox
        self._log = log
        self._announcer = announcer

    def update(self) -> None:
        """Pauses, or lets the episode go on, as things are now."""
        delivery = self._outbox.delivery
        if delivery.full:
            what = clause(len(delivery), "transition", "waits", "wait")
            self._hold(episodes.DELIVERY, f"{what} for the answer of {self._announcer}")
        elif delivery.eased:
            self._release(episodes.DELIVERY, f"{self._announcer} answers")
        if self._log.is_blocked:
            self._hold(episodes.STORE, "what reward_node decides cannot be stored; make room on the disk")
        elif episodes.STORE in self._records.episodes.holds:
            self._release(episodes.STORE, "what reward_node decides is stored again")

    def _hold(self, reason: str, text: str) -> None:
        self._director.publish(self._records.episodes.hold(reason, text))

    def _release(self, reason: str, text: str) -> None:
        self._director.publish(self._records.episodes.release(reason, text))
