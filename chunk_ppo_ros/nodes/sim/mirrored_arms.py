"""Follows the arms of a real robot, or of another simulation of its drivers, by their joint states."""

from __future__ import annotations

import functools
import time

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.sim.command_source import OnTarget
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.gate.reading_trust import ReadingTrust
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule

LOG_PERIOD = 10.0  # s, between two lines about joint states that are not believed


class MirroredArms:
    """Gives where the arms are as the target of the simulated ones. It is a `CommandSource`.

    Joint states that robot_node would not believe are left out, so that a failed read does not move the simulated arms.

    Args:
        node: the node that subscribes to the joint states.
        config: the settings of the robot.
        on_target: is called with each pose of both arms.
    """

    is_ready = True

    def __init__(self, node: Node, config: RobotConfig, on_target: OnTarget) -> None:
        self._node = node
        self._convention = grippers.convention_of(config)
        self._on_target = on_target
        rule = TrustRule.of(config, simulated=False)
        self._trust = {side: ReadingTrust(side, rule) for side in aloha.SIDES}
        self._states: dict[str, np.ndarray] = {}
        for side, topic in topics.FOLLOWER_STATES.items():
            topic.create_subscription(node, functools.partial(self._on_states, side))

    @property
    def pose(self) -> np.ndarray | None:
        """Where the arms are, float64 [14], rad and normalized grippers, or None before both have been seen."""
        if len(self._states) < len(aloha.SIDES):
            return None
        return np.concatenate([self._states[side] for side in aloha.SIDES])

    def reset(self, state: np.ndarray) -> None:
        """Does nothing, because a reset of the scene moves no arm."""

    def _on_states(self, side: str, message: JointState) -> None:
        try:
            state = aloha.side_state(message.name, message.position, self._convention)
        except ValueError as error:
            self._warn(f"joint states of the {side} arm are not used: {error}")
            return
        stamp = time_to_ns(message.header.stamp)
        age = (self._node.get_clock().now().nanoseconds - stamp) / NANOSECONDS
        trust = self._trust[side]
        if not trust.judge(state, stamp=stamp, now=time.monotonic(), commanded=None, age=age):
            if side in self._states:  # The first ones must agree for a while.
                self._warn(trust.doubt)
            return
        self._states[side] = state
        pose = self.pose
        if pose is not None:
            self._on_target(pose)

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=LOG_PERIOD)
