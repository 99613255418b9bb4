"""Publishes who drives the robot, a human or the policy, and logs why a leader arm is not followed."""

from __future__ import annotations

import time

from chunk_ppo_msgs.msg import TakeoverState
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.hold_off import kind_of
from chunk_ppo_ros.nodes.robot.leaders.takeover import Takeover
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.robot.leaders.handover import Leaders
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

LOG_PERIOD = 2.0
"""The shortest time between two lines in the log about what is waited for, s. A driver may fail again and again."""


class DriverPublisher:
    """Publishes who drives the robot on `takeover_state`.

    Args:
        node: the node that publishes and logs.
        conditions: the conditions of the node.
    """

    def __init__(self, node: Node, conditions: Conditions) -> None:
        self._node = node
        self._conditions = conditions
        self._published: tuple[bool, int, int, str] | None = None  # human, stamp of the segment, leaders, message
        self._logged, self._logged_at = "", -LOG_PERIOD  # the last message in the log, and its steady time, s
        self._publisher = topics.TAKEOVER_STATE.create_publisher(node)

    def follow(self, player: ChunkPlayer, takeover: Takeover, *, run_id: str) -> None:
        """Publishes and logs what has changed, for a run or an empty string."""
        self.update(
            run_id=run_id,
            human=player.human_drives,
            segment=player.segment,
            problem=player.teleoperation_problem,
            leaders=takeover.leaders,
            message=takeover.message,
        )

    def update(
        self,
        *,
        run_id: str,
        human: bool,
        segment: int,
        problem: str,
        leaders: Leaders = Leaders.FREE,
        message: str = "",
    ) -> None:
        """Publishes and logs what has changed.

        Args:
            run_id: the run of the newest episode event, or empty before any. Its change alone is not published.
            human: whether a human drives.
            segment: the stamp of the segment that the human drives, ns of ROS time, or 0 if there is none.
            problem: why an arm does not follow its leader, or empty.
            leaders: what the leaders do.
            message: what is waited for, and what ends the wait; empty where nothing is.
        """
        if problem == message:  # The leaders are not ready yet, as the message says.
            problem = ""
        message = problem or message
        before, self._published = self._published, (human, segment, int(leaders), message)
        if before != self._published:
            self._publisher.publish(
                TakeoverState(
                    header=header_of(self._node.get_clock().now().nanoseconds),
                    run_id=run_id,
                    sender=DEFAULT_SENDER,
                    human=human,
                    segment=time_from_ns(segment),
                    leaders=int(leaders),
                    message=message,
                )
            )
        if before is not None and before[0] != human:
            self._node.get_logger().info("a human drives" if human else "the policy drives")
        self._log("" if problem else message)
        if problem:
            self._conditions.raise_condition(condition_table.LEADER_NOT_FOLLOWED, reason=problem, kind=kind_of(problem))
        else:
            self._conditions.clear_condition(condition_table.LEADER_NOT_FOLLOWED)

    def _log(self, message: str) -> None:
        """Logs what is waited for when it changes. Changes in short order are left out."""
        now = time.monotonic()
        if message in ("", self._logged) or now - self._logged_at < LOG_PERIOD:
            return
        self._logged, self._logged_at = message, now
        self._node.get_logger().info(message)
