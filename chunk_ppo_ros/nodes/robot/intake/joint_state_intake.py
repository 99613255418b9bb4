"""Hands the joint states of the followers and the leaders to the chunk player, and reports those that are unusable."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from chunk_ppo_ros.nodes.common.subscriptions import NoteSender
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GripperConvention
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer


class JointStateIntake:
    """Subscribes to `follower_<side>/joint_states` and `leader_<side>/joint_states`.

    Args:
        node: the node that subscribes.
        player: the chunk player.
        convention: the meaning of open and closed grippers.
        diagnostics: the diagnostics of the node.
        conditions: the conditions of the node.
        profile: the QoS profile of the followers' joint states.
        note_sender: notes who sends the followers' joint states.
        tells_currents: whether the efforts in the joint states are the currents of the motors, mA.
        on_arm_states: is called after usable joint states of a follower.
        note_arrival: is called with the side and the publisher's id at all joint states of a follower, before they are
            used. The id is empty where rclpy does not tell it.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        convention: GripperConvention,
        *,
        diagnostics: RobotDiagnostics,
        conditions: Conditions,
        profile: QoSProfile,
        note_sender: NoteSender,
        tells_currents: bool,
        on_arm_states: Callable[[], None],
        note_arrival: Callable[[str, bytes], None] = lambda side, publisher: None,
    ) -> None:
        self._clock = node.get_clock()
        self._tells_currents = tells_currents
        self._player = player
        self._convention = convention
        self._diagnostics = diagnostics
        self._conditions = conditions
        self._on_arm_states = on_arm_states
        self._note_arrival = note_arrival
        for side in aloha.SIDES:
            on_follower = WithOrigin(functools.partial(self._on_follower, side))
            topic = topics.FOLLOWER_STATES[side]
            topic.create_subscription(node, note_sender(topic.name, on_follower), profile=profile)
            on_leader = functools.partial(self._on_leader, side)
            topics.LEADER_STATES[side].create_subscription(node, on_leader)

    def _on_follower(self, side: str, message: JointState, origin: MessageOrigin) -> None:
        self._note_arrival(side, origin.publisher)
        try:
            state = aloha.follower_reading(message.name, message.position, self._convention)
        except ValueError as error:
            self._note_bad_states(side, f"{side} arm", str(error))
            return
        self._note_good_states(side, f"{side} arm")
        self._note_finger(f"{side} arm", message)
        effort = aloha.side_effort(message.name, message.effort)
        currents = aloha.side_currents(message.name, message.effort) if self._tells_currents else None
        self._player.motors.observe(side, currents, now=time.monotonic())
        stamp = time_to_ns(message.header.stamp)
        self._diagnostics.note_stamp(f"{side} arm", stamp)
        self._player.observe(side, state, stamp=stamp, now=time.monotonic(), age=self._age(stamp), effort=effort)
        self._on_arm_states()

    def _on_leader(self, side: str, message: JointState) -> None:
        try:
            state = aloha.leader_state(message.name, message.position, self._convention)
        except ValueError as error:
            self._note_bad_states(f"leader_{side}", f"{side} leader", str(error))
            return
        self._note_good_states(f"leader_{side}", f"{side} leader")
        stamp = time_to_ns(message.header.stamp)
        self._diagnostics.note_stamp(f"{side} leader", stamp)
        currents = aloha.side_currents(message.name, message.effort) if self._tells_currents else None
        now, age = time.monotonic(), self._age(stamp)
        self._player.leaders.observe(side, state, now=now, stamp=stamp, age=age, currents=currents)

    def _age(self, stamp: int) -> float:
        """Returns the ROS time minus a stamp in ns, s."""
        return (self._clock.now().nanoseconds - stamp) / NANOSECONDS

    def _note_finger(self, arm: str, message: JointState) -> None:
        reason = aloha.finger_problem(message.name, message.position, self._convention)
        if reason:
            self._conditions.raise_condition(sensor_conditions.FINGER_IMPOSSIBLE, arm=arm, reason=reason)
        else:
            self._conditions.clear_condition(sensor_conditions.FINGER_IMPOSSIBLE, arm=arm)

    def _note_bad_states(self, key: str, arm: str, reason: str) -> None:
        self._diagnostics.note_bad_states(key, reason)
        self._conditions.raise_condition(sensor_conditions.JOINT_STATES_UNUSED, arm=arm, reason=reason)

    def _note_good_states(self, key: str, arm: str) -> None:
        self._diagnostics.note_good_states(key)
        self._conditions.clear_condition(sensor_conditions.JOINT_STATES_UNUSED, arm=arm)
