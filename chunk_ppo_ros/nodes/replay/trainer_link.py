"""Hears what trainer_node of a replay says."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from chunk_ppo_ros.nodes.wire import topics

REPEAT_PERIOD = 2.0
"""The time after which trainer_node is told again what it has not answered, s. A node drops what comes from a sender
that it does not know yet."""
_SPIN = 0.05  # s


class TrainerLink:
    """Notes what trainer_node has done.

    Args:
        context: a context of ROS, in the domain of the replay.

    Attributes:
        answered: the numbers of the transitions that it has answered for good.
        ended: the numbers of the episodes of whose end it has heard.
        version: the newest version that it has announced, or -1.
    """

    def __init__(self, context: Context) -> None:
        self.answered: set[int] = set()
        self.ended: set[int] = set()
        self.version = -1
        self._executor = SingleThreadedExecutor(context=context)
        self._ear = ear = Node(
            "replay", context=context, use_global_arguments=False, enable_rosout=False, start_parameter_services=False
        )
        self._executor.add_node(ear)
        topics.TRANSITION_ACK.create_subscription(ear, self._on_ack)
        topics.POLICY_VERSION.create_subscription(ear, self._on_version)
        topics.HANDLED_INPUT.create_subscription(ear, self._on_handled)

    def wait(
        self,
        is_done: Callable[[], bool],
        *,
        patience: float,
        go_on: Callable[[], bool],
        tell: Callable[[], None] = lambda: None,
    ) -> bool:
        """Tells something, and returns whether trainer_node has done it. It is told again while nothing is heard.

        Args:
            is_done: returns whether it is done.
            patience: the longest time, s.
            go_on: returns whether it is of use to wait; it is called again and again, and may raise an error.
            tell: tells trainer_node what to do.
        """
        began = told = time.monotonic()
        if not is_done():
            tell()
        while not is_done() and go_on():
            now = time.monotonic()
            if now - began > patience:
                return False
            if now - told > REPEAT_PERIOD:
                told = now
                tell()
            self._executor.spin_once(timeout_sec=_SPIN)
        return is_done()

    def close(self) -> None:
        """Destroys the node."""
        self._executor.remove_node(self._ear)
        self._ear.destroy_node()
        self._executor.shutdown(timeout_sec=0.2)

    def _on_ack(self, message: msg.TransitionAck) -> None:
        if message.status != msg.TransitionAck.RETRY:
            self.answered.add(message.sequence_number)

    def _on_version(self, message: msg.PolicyVersion) -> None:
        self.version = max(self.version, message.version)

    def _on_handled(self, message: msg.HandledInput) -> None:
        if message.name == topics.EPISODE_EVENT.name:
            self.ended.add(message.number)
