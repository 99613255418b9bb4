"""Tells the chunk player when an episode lets the robot move."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs.msg import EpisodeEvent
from rclpy.node import Node

from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

UNCONFIRMED = (
    "robot_node has started (robot.confirm_start); look at the robot, then start an episode, or pause and go on"
)

_SUSPENDING_EVENTS = {
    EpisodeEvent.RESET: "the episode is being reset",
    EpisodeEvent.ENDED: "the episode has ended",
    EpisodeEvent.PAUSED: "paused",
}


class EpisodeIntake:
    """Subscribes to `episode_event`.

    Args:
        node: the node that subscribes.
        player: the chunk player.
        conditions: the conditions of the node.
        is_real: whether the robot is real, so that a human moves it to the start between episodes.
        confirm_start: whether the robot must not move before an operator has started or resumed an episode after the
            node has started.
        on_event: is called after each event.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        conditions: Conditions,
        *,
        is_real: bool,
        confirm_start: bool,
        on_event: Callable[[], None],
    ) -> None:
        self._player = player
        self._is_real = is_real
        self._on_event = on_event
        self._started = node.get_clock().now().nanoseconds
        self.run_id = ""
        """The run of the newest event, or empty before any."""
        self.unconfirmed = UNCONFIRMED if confirm_start else ""
        """The reason why the robot waits for an operator after the start of the node; empty where it does not."""
        subscribe(node, conditions, topics.EPISODE_EVENT, self._on_message)

    def _on_message(self, message: EpisodeEvent) -> None:
        self.run_id = message.run_id
        if message.event in _SUSPENDING_EVENTS:
            # Between episodes a human moves the real robot to the start. A pause holds both the human and the policy.
            freeze = message.event == EpisodeEvent.PAUSED or not self._is_real
            self._player.suspend(_SUSPENDING_EVENTS[message.event], freeze=freeze)
        else:
            if time_to_ns(message.header.stamp) >= self._started:  # The newest event of before is received again.
                self.unconfirmed = ""
            self._player.resume()
        self._on_event()
