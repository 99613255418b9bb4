"""Tells the chunk player when an episode lets the robot move."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_msgs.msg import EpisodeEvent
from rclpy.node import Node
from std_srvs.srv import Trigger

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.common.subscriptions import NoteSender, subscribe
from chunk_ppo_ros.nodes.wire import services, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.robot_calls import RobotCalls

CLOCK_DIFFERENCE = 1.0
"""The time by which the clock of reward_node may be ahead of this one, s."""
STARTED, STOP_CLEARED = "robot_node has started", "an emergency stop was cleared"
"""What happened, after which a robot waits for an operator where `robot.confirm_start` is set."""

_SUSPENDING_EVENTS = {
    EpisodeEvent.RESET: "the episode is being reset",
    EpisodeEvent.READY: "the episode waits for its start",
    EpisodeEvent.ENDED: "the episode has ended",
    EpisodeEvent.PAUSED: "paused",
}


class EpisodeIntake:
    """Subscribes to `episode_event`, and serves `confirm_motion`, by which an operator lets a robot that waits move.

    Args:
        node: the node that subscribes.
        calls: serves, and publishes what was asked and answered.
        player: the chunk player.
        conditions: the conditions of the node.
        is_real: whether the robot is real, so that a human moves it to the start between episodes.
        confirm_start: whether the robot must not move after the start of the node, and after an emergency stop was
            cleared, before an operator has confirmed it or has started an episode.
        note_sender: notes who sends the events.
        on_event: is called after each message, with its event.
        on_reset: is called after each message of a reset, with its stamp, ns.
    """

    def __init__(
        self,
        node: Node,
        calls: OperatorCalls,
        player: ChunkPlayer,
        conditions: Conditions,
        *,
        is_real: bool,
        confirm_start: bool,
        note_sender: NoteSender,
        on_event: Callable[[int], None],
        on_reset: Callable[[int], None] = lambda stamp: None,
    ) -> None:
        self._player = player
        self._is_real = is_real
        self._on_event = on_event
        self._on_reset = on_reset
        self._clock = node.get_clock()
        self._started = time.monotonic()
        self._starts: set[int] = set()  # the stamps of the starts of episodes that confirmed where the robot is, ns
        self.run_id = ""
        """The run of the newest event, or empty before any."""
        self.newest_start = 0
        """The stamp of the newest event that let the policy act, ns; 0 before any."""
        self._node = node
        self._way_out = RobotCalls(node.get_namespace()).way_out
        self._episode = ""
        self._confirm_start = confirm_start
        self.unconfirmed = ""
        """The reason why the robot waits until an operator has looked at it; empty where it does not."""
        self.await_confirmation(STARTED)
        subscribe(node, conditions, topics.EPISODE_EVENT, self._on_message, note_sender=note_sender)
        calls.serve(services.CONFIRM_MOTION, self._on_confirm)

    @property
    def episode(self) -> str:
        """The reason why an episode does not let anything but its chunks move the robot; empty where none runs.

        Where nobody sends events any more, no episode can go on, and an operator may put the arms down.
        """
        return self._episode if self._node.count_publishers(topics.EPISODE_EVENT.name) else ""

    def _on_message(self, message: EpisodeEvent) -> None:
        self.run_id = message.run_id
        if message.event in _SUSPENDING_EVENTS:
            # Between episodes a human moves the real robot to the start. A pause holds both the human and the policy.
            freeze = message.event == EpisodeEvent.PAUSED or not self._is_real
            self._episode = "the episode is paused; end it first" if message.event == EpisodeEvent.PAUSED else ""
            self._player.suspend(_SUSPENDING_EVENTS[message.event], freeze=freeze)
        else:
            self._episode = "an episode is running; end it first by the service end_episode"
            self.newest_start = time_to_ns(message.header.stamp)
            # A pause may end by itself.
            is_start = message.event == EpisodeEvent.STARTED and self._is_new(message)
            if is_start:
                self._starts.add(time_to_ns(message.header.stamp))
            confirmed = not self._is_real or is_start
            if confirmed:
                self.unconfirmed = ""
            self._player.resume(confirmed=confirmed)
        self._on_event(message.event)
        if message.event == EpisodeEvent.RESET:
            self._on_reset(time_to_ns(message.header.stamp))

    def await_confirmation(self, event: str) -> None:
        """Lets the robot wait until an operator confirms that it may move, if `robot.confirm_start` is set.

        Args:
            event: what has happened, in words.
        """
        if self._confirm_start:
            self.unconfirmed = f"{event} (robot.confirm_start); {self._way_out}"

    def _is_new(self, message: EpisodeEvent) -> bool:
        """Returns whether an event was sent after the start of this node, and is not received again.

        Its age is compared with the time since the start, so that a clock that was set since then changes nothing. An
        event from ahead of the clock was sent before the clock was set back.
        """
        age = (self._clock.now().nanoseconds - time_to_ns(message.header.stamp)) / NANOSECONDS
        is_repeated = time_to_ns(message.header.stamp) in self._starts
        return not is_repeated and -CLOCK_DIFFERENCE <= age <= time.monotonic() - self._started

    def _on_confirm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = not self._player.playing
        if response.success:
            self.unconfirmed = ""
            self._player.confirm()
        response.message = "the robot may move from where it is" if response.success else "the robot moves; pause first"
        return response
