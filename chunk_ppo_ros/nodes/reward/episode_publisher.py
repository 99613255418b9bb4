"""Publishes the changes of episodes, and keeps the number of the next episode on disk.

The end of a discarded episode is published twice, because trainer_node must hear of it also where it was dead then.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_from_ns, time_to_ns
from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, Event


class EpisodePublisher:
    """Publishes changes of episodes on `episode_event`, and the ends of discarded ones on `discarded_episode` too.

    Args:
        node: the node that publishes and logs.
        conditions: the conditions of the node.
        path: the file with the number of the next episode.
    """

    def __init__(self, node: Node, conditions: Conditions, path: pathlib.Path) -> None:
        self._node = node
        self._conditions = conditions
        self._numbers = CounterFile(path, "next_episode", without="episodes go on from what trainer_node has seen")
        self._publisher = topics.EPISODE_EVENT.create_publisher(node)
        self._discarded = topics.DISCARDED_EPISODE.create_publisher(node)
        self.started = 0
        """The stamp of the newest start of an episode, ns."""

    def next_number(self, run_id: str) -> int:
        """Returns the first episode number that the run has not used, or 0 if the file cannot be read."""
        try:
            return self._numbers.read(run_id)
        except (OSError, UserError) as error:
            self._node.get_logger().error(f"the record of episodes cannot be read, numbers may repeat: {error}")
            return 0

    def store_number(self, run_id: str, episode: int) -> None:
        """Stores on disk that the number of an episode is used."""
        try:
            self._numbers.write(run_id, episode + 1)
        except OSError as error:
            self._conditions.raise_condition(condition_table.EPISODE_NOT_STORED, reason=str(error))
        else:
            self._conditions.clear_condition(condition_table.EPISODE_NOT_STORED)

    def publish(self, run_id: str, changes: Sequence[EpisodeChange], *, started: int | None = None) -> None:
        """Logs and publishes changes of an episode.

        Args:
            run_id: the run of the episode.
            changes: the changes, in their order.
            started: the stamp, ns, of the start of an episode that goes on. A start that is published again has it, so
                that it confirms nothing anew to robot_node, and policy_node need not wait for newer readings.
        """
        self.started = self.started if started is None else started
        for change in changes:
            self._log(change)
            event = msg.EpisodeEvent(
                run_id=run_id,
                sender=DEFAULT_SENDER,
                episode=change.episode,
                seed=change.seed,
                event=change.event.value,
                outcome=change.ending.value,
                total_reward=change.total_reward,
                num_chunks=change.num_chunks,
                intervened=change.intervened,
                prompt=change.prompt,
                message=change.message,
            )
            event.header.stamp = self._node.get_clock().now().to_msg()
            if change.event is Event.STARTED:
                self.started = time_to_ns(event.header.stamp) if started is None else started
                event.header.stamp = time_from_ns(self.started)
            self._publisher.publish(event)
            if change.ending is Ending.DISCARDED:
                self._discarded.publish(event)

    def repeat_discarded(self, run_id: str, episodes: Iterable[int]) -> None:
        """Publishes the ends of episodes of a run that an earlier process has discarded, oldest first."""
        ended, discarded = Event.ENDED.value, Ending.DISCARDED.value
        for episode in episodes:
            event = msg.EpisodeEvent(
                run_id=run_id, sender=DEFAULT_SENDER, episode=episode, event=ended, outcome=discarded
            )
            event.header.stamp = self._node.get_clock().now().to_msg()
            self._discarded.publish(event)

    def _log(self, change: EpisodeChange) -> None:
        """Logs a change. The end of an episode is its one line at the level of info; pauses are such lines too."""
        text = f"episode {change.episode} {change.event.name}"
        if change.event is Event.ENDED:
            outcome = "" if change.ending is Ending.NONE else f" as {change.ending.name}"
            numbers = f"reward {change.total_reward:.2f}, {count_of(change.num_chunks, 'chunk')}"
            self._node.get_logger().info(f"{text}{outcome}, {numbers}; {change.message}")
        elif change.event in (Event.PAUSED, Event.RESUMED):
            self._node.get_logger().info(f"{text}; {change.message}")  # rclpy refuses two severities from one line.
        else:
            self._node.get_logger().debug(f"{text}; {change.message}")
