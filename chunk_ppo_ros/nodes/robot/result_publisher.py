"""Publishes what the robot did with each chunk and each segment of a human, and logs what went wrong."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from rclpy.node import Node

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.hold_off import HoldOff
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.conversions import execution_to_message
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

LONGEST_WAIT = 2.0
"""The time for which a result waits until reward_node listens, s of the steady clock."""


class ResultPublisher:
    """Publishes the results of the chunk player on `execution_result`.

    When robot_node has just started, it may know of the trajectories' publisher before it knows that reward_node
    listens to the results. A result would be lost then, and the policy would wait for it. So results wait until the
    node that publishes episode events listens, but not for longer than `LONGEST_WAIT`.

    Args:
        node: the node that publishes and logs.
        player: the chunk player.
        diagnostics: counts the results.
        now: returns the ROS time, ns.
        run_id: returns the run that the robot serves, or an empty string while it is not known.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        diagnostics: RobotDiagnostics,
        *,
        now: Callable[[], int],
        run_id: Callable[[], str],
    ) -> None:
        self._node = node
        self._player = player
        self._diagnostics = diagnostics
        self._now = now
        self._run_id = run_id
        self._hold_off = HoldOff()
        self._publisher = topics.EXECUTION_RESULT.create_publisher(node)
        self._waiting: list[ExecutionResult] = []
        self._waiting_since = 0.0  # steady s
        self._is_heard = False

    def publish(self, *, at_once: bool = False) -> None:
        """Takes the results of the player, and publishes them if they are listened to, or if it must be at once."""
        for result in self._player.take_results():
            self._take(result)
        if not self._waiting:
            return
        if time.monotonic() - self._waiting_since > LONGEST_WAIT:
            self._is_heard = True  # Nobody directs episodes here, so that no result waits from now on.
        if at_once or self._listens():
            waiting, self._waiting = self._waiting, []
            for result in waiting:
                self._publisher.publish(execution_to_message(result))

    def _take(self, result: ExecutionResult) -> None:
        self._diagnostics.note_result(result)
        if result.status in (Status.REFUSED, Status.FAULT):
            text = f"chunk {result.status.name} after {result.num_steps} steps that count: {result.message}"
            line = self._hold_off.line(text, time.monotonic())
            if line is not None:
                self._node.get_logger().warning(line)
        if not self._waiting:
            self._waiting_since = time.monotonic()
        filled = dataclasses.replace(result, end=self._now(), run_id=self._run_id(), sender=DEFAULT_SENDER)
        self._waiting.append(filled)

    def _listens(self) -> bool:
        """Returns whether the node that publishes episode events listens to results. Once it does, it is not asked."""
        if not self._is_heard and self._publisher.get_subscription_count():
            senders = self._node.get_publishers_info_by_topic(topics.EPISODE_EVENT.name)
            readers = self._node.get_subscriptions_info_by_topic(topics.EXECUTION_RESULT.name)
            self._is_heard = bool({info.node_name for info in senders} & {info.node_name for info in readers})
        return self._is_heard
