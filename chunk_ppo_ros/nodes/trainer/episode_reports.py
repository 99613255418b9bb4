"""Hands the ends of episodes to trainer_node, also those that it heard of before its run was loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable

from chunk_ppo_msgs import msg

from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.intake.first_reports import FirstReports
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


class EpisodeReports:
    """Subscribes to `episode_event`, and to `discarded_episode`, which also tells of what was discarded before.

    An episode that ends while trainer_node has no run, for example while it is cleaned up, is kept until there is one.
    Otherwise the journal would give back the transitions of an episode that was discarded meanwhile.

    Args:
        node: the node that subscribes and reports the conditions.
        guard: leaves out the ends that other nodes than reward_node tell of.
        run_id: returns the run of the node, or an empty string while it has none.
        on_end: is called with the end of each episode of the run.

    Attributes:
        first: says whether an update of stored transitions must wait for reports.
    """

    def __init__(
        self,
        node: WorkerNode,
        guard: PublisherGuard,
        *,
        run_id: Callable[[], str],
        on_end: Callable[[msg.EpisodeEvent], None],
    ) -> None:
        self._time = node.ros_time
        self.first = FirstReports()
        self._run_id = run_id
        self._on_end = on_end
        self._early: list[msg.EpisodeEvent] = []
        of_each_robot = functools.partial(guard.only_from_one, part_of=lambda message: message.sender)
        for topic in (topics.EPISODE_EVENT, topics.DISCARDED_EPISODE):
            subscribe(node, node, topic, self._on_event, note_sender=of_each_robot)

    def hand_on(self) -> None:
        """Hands on the ends of episodes that were kept, because the node has a run now."""
        early, self._early = self._early, []
        for message in early:
            self._hand_on(message)

    def _on_event(self, message: msg.EpisodeEvent) -> None:
        self._time.note(time_to_ns(message.header.stamp))
        self.first.note(message.run_id)
        if message.event != msg.EpisodeEvent.ENDED:
            return
        if self._run_id():
            self._hand_on(message)
        else:
            self._early.append(message)

    def _hand_on(self, message: msg.EpisodeEvent) -> None:
        if message.run_id == self._run_id():
            self._on_end(message)
