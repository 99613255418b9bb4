"""Stands in for what surrounds robot_node: the drivers of the arms, policy_node, reward_node and a human's leaders."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from chunk_ppo_msgs.msg import ChunkOutcome, EpisodeEvent, ExecutionResult
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.sim.sim_commands import ARM_CONTROLLER, GRIPPER_CONTROLLER, CommandJoin
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage, arm_trajectory_to_message, leader_message
from chunk_ppo_ros.robot import aloha, grippers
from faults.graph_operator import GraphOperator
from faults.state_faults import StateFault

PERIOD = 0.02
CLOCK_PERIOD = 0.005
"""The time between two messages of the clock of robot_node, s."""
CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]
RUN = "faults"
EVERY_COMMAND = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""The QoS profile with which no command is lost that robot_node sends."""
LAG = 0.5
"""The part of the way to its command that an arm moves in a control period."""


class RobotClock:
    """Sets the clock of robot_node: as a simulated time, which is the real time and an offset.

    Args:
        node: the node that publishes the time.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._offset: float | None = None  # s, or None where the clock is not set
        self._publisher = topics.CLOCK.create_publisher(node)
        self._parameters = AsyncParameterClient(node, "robot_node")
        node.create_timer(CLOCK_PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def step(self, offset: float | None) -> Future[Any]:
        """Sets the clock ahead by an offset in s, or right again where it is None. Returns the answer of robot_node."""
        self._offset = offset
        self._publish()
        return self._parameters.set_parameters([Parameter("use_sim_time", value=offset is not None)])

    def _publish(self) -> None:
        if self._offset is not None:
            now = self._node.get_clock().now().nanoseconds + round(self._offset * NANOSECONDS)
            self._publisher.publish(ClockMessage(clock=time_from_ns(now)))


class Rig(Node):
    """Plays the arms, and sends what a test of robot_node asks for.

    Args:
        on_command: is called with each command, float [14], and its stamp in ns.
        on_reading: is called with each arm's joint states that a driver measured, as side and float [7].
        on_result: is called with each result of robot_node.
    """

    def __init__(
        self,
        on_command: Callable[[np.ndarray, int], None],
        on_reading: Callable[[str, np.ndarray], None],
        on_result: Callable[[ExecutionResult], None],
    ) -> None:
        super().__init__("fault_rig")
        self.state = np.array(aloha.START_POSE)
        self.command = np.array(aloha.START_POSE)
        self.leader: np.ndarray | None = None  # float [14], where the human holds the leaders
        self.leader_speed = 0.0  # of the waists, rad in a control period
        self.faults = {name: StateFault() for name in (*topics.FOLLOWER_STATES, *_leader_names())}
        self._on_command, self._on_reading = on_command, on_reading
        self.forget_commands()
        self._numbers = 0
        self._states = {side: topic.create_publisher(self) for side, topic in topics.FOLLOWER_STATES.items()}
        self._leaders = {side: topic.create_publisher(self) for side, topic in topics.LEADER_STATES.items()}
        self._chunks = {side: topic.create_publisher(self) for side, topic in topics.CHUNK_TRAJECTORIES.items()}
        self._events = topics.EPISODE_EVENT.create_publisher(self)
        self.takeover: Client = self.create_client(SetBool, "robot_node/takeover")
        self.clock = RobotClock(self)
        self.operator = GraphOperator(self)
        self._on_result = on_result
        self._outcomes = topics.CHUNK_OUTCOME.create_publisher(self)
        topics.EXECUTION_RESULT.create_subscription(self, self._answer)
        for side in aloha.SIDES:
            for controller, topic in (
                (ARM_CONTROLLER, topics.ARM_COMMANDS[side]),
                (GRIPPER_CONTROLLER, topics.GRIPPER_COMMANDS[side]),
            ):
                on_part = functools.partial(self._take_command, side, controller)
                topic.create_subscription(self, on_part, profile=EVERY_COMMAND)
        self.create_timer(PERIOD, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _answer(self, result: ExecutionResult) -> None:
        """Hands a result on, and answers it as reward_node does, until which robot_node repeats it."""
        self._on_result(result)
        self._outcomes.publish(
            ChunkOutcome(header=result.header, run_id=result.run_id, sender=result.sender, execution=result)
        )

    @property
    def is_connected(self) -> bool:
        """Whether robot_node listens to everything that the rig sends."""
        publishers = [*self._states.values(), *self._leaders.values(), *self._chunks.values(), self._events]
        listened = all(publisher.get_subscription_count() for publisher in publishers)
        return listened and self.takeover.service_is_ready()

    def forget_commands(self) -> None:
        """Forgets the parts of commands that are not complete, because robot_node was killed."""
        self._joins: dict[int, CommandJoin] = {}  # the parts of each command by its stamp, ns
        self._complete: dict[int, np.ndarray] = {}

    def ends_of_robot_nodes(self) -> list[set[bytes]]:
        """Returns the ids of the publishers of results, and of the subscriptions of each topic that the rig sends.

        Those of a robot_node that was killed stay among them for a while. What is sent reaches the next one only when
        its subscriptions are there.
        """
        sent = (*self._states.values(), *self._leaders.values(), *self._chunks.values(), self._events)
        found = [self.get_publishers_info_by_topic(topics.EXECUTION_RESULT.name)]
        found += [self.get_subscriptions_info_by_topic(publisher.topic_name) for publisher in sent]
        return [{bytes(info.endpoint_gid) for info in infos} for infos in found]

    def now(self) -> int:
        """Returns the ROS time, ns."""
        return self.get_clock().now().nanoseconds

    def tell(self, event: int) -> EpisodeEvent:
        """Publishes an episode event, and returns it."""
        message = EpisodeEvent(header=header_of(self.now()), run_id=RUN, event=event)
        self._events.publish(message)
        return message

    def publish_event(self, message: EpisodeEvent) -> None:
        """Publishes an episode event as it is."""
        self._events.publish(message)

    def chunk(
        self, targets: np.ndarray, *, run: str = RUN, offset: float = 0.0, age: float = 0.0
    ) -> dict[str, JointTrajectory]:
        """Returns the halves of a chunk, float [k, 14], as messages.

        Args:
            targets: the targets, rad and normalized grippers.
            run: the run that it claims to be of.
            offset: how far the clock of its sender is ahead, s.
            age: the age of its observation, s.
        """
        self._numbers += 1
        stamp = self.now() + round(offset * 1e9)
        origin = ChunkOrigin(run, self._numbers, stamp - round(age * 1e9))
        return {
            side: arm_trajectory_to_message(
                targets[:, aloha.side_slice(side)], stamp=stamp, period=PERIOD, origin=origin
            )
            for side in aloha.SIDES
        }

    def send(self, halves: dict[str, JointTrajectory]) -> int:
        """Publishes halves of a chunk, and returns their stamp, ns."""
        for side, message in halves.items():
            self._chunks[side].publish(message)
        return max(time_to_ns(message.header.stamp) for message in halves.values())

    def motion(self, num_steps: int, speed: float) -> np.ndarray:
        """Returns targets float [k, 14] that turn both waists toward 0 and beyond, at `speed` rad in a step."""
        targets = np.tile(self.command, (num_steps, 1))
        for waist in (0, aloha.SIDE_DIM):
            sign = -1.0 if self.command[waist] > 0.0 else 1.0
            targets[:, waist] += sign * speed * np.arange(1, num_steps + 1)
        return targets

    def _step(self) -> None:
        self.state = self.state + LAG * (self.command - self.state)
        if self.leader is not None:
            self.leader = self.leader + self.leader_speed * (np.arange(aloha.ACTION_DIM) % aloha.SIDE_DIM == 0)
        now = time.monotonic()
        for side in aloha.SIDES:
            part = aloha.side_slice(side)
            self._on_reading(side, self.state[part])
            message = StateMessage(CONVENTION, JointState(name=_state_names())).fill(self.state[part], stamp=self.now())
            for sent in self.faults[side].apply(message, now):
                self._states[side].publish(sent)
            if self.leader is not None:
                message = leader_message(self.leader[part], stamp=self.now(), convention=CONVENTION)
                for sent in self.faults[f"leader_{side}"].apply(message, now):
                    self._leaders[side].publish(sent)

    def _take_command(self, side: str, controller: str, message: JointTrajectory) -> None:
        """Takes a part of a command. Commands are handed on in the order of their stamps, and none is left out.

        The parts come on four topics, and a busy machine delivers them topic by topic.
        """
        stamp = time_to_ns(message.header.stamp)
        target = self._joins.setdefault(stamp, CommandJoin(CONVENTION)).add(side, controller, message)
        if target is not None:
            self._complete[stamp] = target
        while self._joins and (oldest := min(self._joins)) in self._complete:
            del self._joins[oldest]
            self.command = self._complete.pop(oldest)
            self._on_command(self.command, oldest)


def _leader_names() -> list[str]:
    return [f"leader_{side}" for side in aloha.SIDES]


def _state_names() -> list[str]:
    return list(StateMessage(CONVENTION).message.name)
