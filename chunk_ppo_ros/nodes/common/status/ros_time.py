"""Gives the time by which a node stamps what it publishes, also where the node does not read `/clock`.

All headers have one time base, ROS time. In lockstep that is simulated time. A node that reads `/clock` is woken by
each step of it, which costs trainer_node 40 % of its work while it collects. So a node that asks for the time only to
stamp messages takes it from the messages that it hears.
"""

from __future__ import annotations

from chunk_ppo_msgs import msg
from rclpy.clock import ROSClock
from rclpy.node import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


class RosTime:
    """The ROS time of a node.

    In lockstep it is the newest time that the node has heard of, unless the node reads `/clock`. reward_node tells the
    time on `episode_state` at each change and once a second, and a node notes the times of other messages that it gets.
    Simulated time never goes back (sim_node sees to that), so the newest is the largest. Before any, it is the time of
    the system, at which simulated time begins.

    Args:
        node: the node.
        config: the configuration of the run.
    """

    def __init__(self, node: Node, config: TrainConfig) -> None:
        self._clock = node.get_clock()
        reads_clock = isinstance(self._clock, ROSClock) and self._clock.ros_time_is_active
        self._hears = config.env.is_lockstep and not reads_clock
        self._newest = 0
        if self._hears:
            topics.EPISODE_STATE.create_subscription(node, self._on_state)

    def note(self, stamp: int) -> None:
        """Notes a time that a message tells, ns of ROS time."""
        self._newest = max(self._newest, stamp)

    def now(self) -> int:
        """Returns the ROS time, ns."""
        return self._newest if self._hears and self._newest else int(self._clock.now().nanoseconds)

    def _on_state(self, message: msg.EpisodeState) -> None:
        self.note(time_to_ns(message.header.stamp))
