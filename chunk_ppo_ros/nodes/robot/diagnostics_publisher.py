"""Publishes once a second on /diagnostics what robot_node does, and what its back end knows of the drivers."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from chunk_ppo_ros.nodes.common.conditions import DIAGNOSTICS_PERIOD
from chunk_ppo_ros.nodes.common.status.diagnostics import Diagnostics
from chunk_ppo_ros.nodes.robot.leaders.takeover import Takeover
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.robot.start_wait import StartWait
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer


class DiagnosticsPublisher:
    """Publishes the status of the chunk player, that of the back end, and that of the motors.

    Args:
        node: the node that publishes.
        player: the chunk player.
        diagnostics: what was counted of its results.
        takeover: what the leaders do, and what is waited for.
        start: knows which waits are usual after a start.
        look: looks why the robot must not move, and returns it, or an empty string.
        backend: returns the status of the back end.
        motors: returns the status of the motors.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        diagnostics: RobotDiagnostics,
        *,
        takeover: Takeover,
        start: StartWait,
        look: Callable[[], str],
        backend: Callable[[], DiagnosticStatus],
        motors: Callable[[], DiagnosticStatus],
    ) -> None:
        self._node = node
        self._player = player
        self._diagnostics = diagnostics
        self._takeover = takeover
        self._start = start
        self._look = look
        self._backend = backend
        self._motors = motors
        self._publisher = Diagnostics(node)
        node.create_timer(DIAGNOSTICS_PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        player, stamp = self._player, self._node.get_clock().now().nanoseconds
        obstacle, now = self._look(), time.monotonic()
        status = self._diagnostics.status(
            playing=player.playing,
            suspended=player.readiness.suspended,
            arms=tuple(player.state_stamps),
            human=player.human_drives,
            problem=player.teleoperation_problem or self._takeover.message,
            leaders=": ".join(filter(None, [self._takeover.leaders.name, self._takeover.message])),
            obstacle=obstacle,
            start_wait=self._start.usual(obstacle, now=now),
            is_starting=self._start.lasts(now),
            waits=player.readiness.waits(now),
            now=stamp,
        )
        self._publisher.publish(status, self._backend(), self._motors())
