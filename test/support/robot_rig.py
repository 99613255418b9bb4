"""Stands in for what surrounds robot_node in tests: drivers with their controllers, policy_node and reward_node."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, TakeoverState
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.sim.sim_commands import ARM_CONTROLLER, GRIPPER_CONTROLLER, CommandJoin
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage, arm_trajectory_to_message, leader_message
from chunk_ppo_ros.robot import aloha, grippers
from support.heard_results import hear_results
from support.spinner import Spinner

PERIOD = 0.02
MAX_VELOCITY = 1.5
"""The speed limit of the arms of the rig in real time, rad/s."""
CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]


class Rig(Node):
    """Plays arms that reach every target at once, and a sender of chunks."""

    def __init__(self, *, lockstep: bool) -> None:
        super().__init__("rig")
        self.state = np.array(aloha.START_POSE)
        self.alive = True
        self.clock_offset = 0.0  # how far the clock of the driver is ahead, s
        self.stamps: list[int] = []  # the stamps of all commands, ns
        self.follows = True  # whether the arms move where they are told
        self.targets: list[np.ndarray] = []
        self.target_stamps: list[int] = []  # when robot_node sent each of them, ns of ROS time
        self.results: list[ExecutionResult] = []
        self.diagnostics: list[DiagnosticArray] = []
        self._join = CommandJoin(CONVENTION)
        self.command_subscriptions: list[Subscription] = []
        self._lockstep = lockstep
        states = qos.JOINT_STATES_LOCKSTEP if lockstep else qos.JOINT_STATES
        self._states = {s: self.create_publisher(JointState, f"follower_{s}/joint_states", states) for s in aloha.SIDES}
        self._chunks = {
            s: self.create_publisher(JointTrajectory, f"robot/{s}/joint_trajectory", qos.COMMAND) for s in aloha.SIDES
        }
        self.takeovers: list[TakeoverState] = []
        self.leader: np.ndarray | None = None  # where the human holds the leaders, float [14]; None is silence
        self._leaders = {
            s: self.create_publisher(JointState, f"leader_{s}/joint_states", qos.JOINT_STATES) for s in aloha.SIDES
        }
        self.create_subscription(TakeoverState, "takeover_state", self.takeovers.append, qos.LATCHED_SUBSCRIPTION)
        self.takeover = self.create_client(SetBool, "robot_node/takeover")
        self.create_timer(PERIOD, self._publish_leaders, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        for side in aloha.SIDES:
            for controller, topic in (
                (ARM_CONTROLLER, topics.ARM_COMMANDS[side]),
                (GRIPPER_CONTROLLER, topics.GRIPPER_COMMANDS[side]),
            ):
                on_command = functools.partial(self._on_command, side, controller)
                self.command_subscriptions.append(
                    self.create_subscription(topic.message_type, topic.name, on_command, topic.read_profile)
                )
        hear_results(self, self.results)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, qos.RELIABLE)
        if not lockstep:
            self.create_timer(PERIOD / 2, self.publish_states)  # at 100 Hz, as the real driver

    @property
    def connected(self) -> bool:
        """Whether robot_node listens to all topics of the rig."""
        publishers = [*self._states.values(), *self._chunks.values(), *self._leaders.values(), self.events]
        listened = all(publisher.get_subscription_count() for publisher in publishers)
        return listened and self.takeover.service_is_ready() and bool(self.takeovers)

    def now(self) -> int:
        return self.get_clock().now().nanoseconds

    def publish_states(self) -> None:
        if self.alive:
            stamp = self.now() + round(self.clock_offset * 1e9)
            for side in aloha.SIDES:
                self.publish_state(StateMessage(CONVENTION).fill(self.state[aloha.side_slice(side)], stamp=stamp), side)

    def publish_state(self, message: JointState, side: str) -> None:
        self._states[side].publish(message)

    def _publish_leaders(self) -> None:
        if self.leader is None:
            return
        for side in aloha.SIDES:
            message = leader_message(self.leader[aloha.side_slice(side)], stamp=self.now(), convention=CONVENTION)
            self._leaders[side].publish(message)

    def send(self, targets: np.ndarray, *, stamp: int | None = None, sides: tuple[str, ...] = aloha.SIDES) -> int:
        stamp = self.now() if stamp is None else stamp
        for side in sides:
            self.send_half(side, trajectory(targets[:, aloha.side_slice(side)], stamp=stamp))
        return stamp

    def send_half(self, side: str, message: JointTrajectory) -> None:
        self._chunks[side].publish(message)

    def tell(self, event: int) -> None:
        self.events.publish(EpisodeEvent(header=header_of(self.now()), run_id="run", event=event))

    def _on_command(self, side: str, controller: str, message: JointTrajectory) -> None:
        assert len(message.points) == 1
        self.stamps.append(time_to_ns(message.header.stamp))
        target = self._join.add(side, controller, message)
        if target is None:
            return
        self.targets.append(target)
        self.target_stamps.append(time_to_ns(message.header.stamp))
        if self.alive:
            self.state = target if self.follows else self.state
            if self._lockstep:
                self.publish_states()


def trajectory(positions: np.ndarray, *, stamp: int, seen: int | None = None, run_id: str = "run") -> JointTrajectory:
    """Returns an arm's half of a chunk of a run, from an observation of the time `seen`, ns, by default the stamp."""
    origin = ChunkOrigin(run_id, 0, stamp if seen is None else seen)
    return arm_trajectory_to_message(positions, stamp=stamp, period=PERIOD, origin=origin)


class Graph(Spinner):
    """The nodes robot_node and the rig in one process."""

    def __init__(self, *, lockstep: bool) -> None:
        self.rig, self.robot = Rig(lockstep=lockstep), RobotNode()
        super().__init__(self.rig, self.robot)

    def call_takeover(self, human: bool) -> None:
        """Takes over or hands back, and waits for the answer."""
        future = self.rig.takeover.call_async(SetBool.Request(data=human))
        self.until(future.done)
        assert future.result().success

    def result(self) -> ExecutionResult:
        """Waits for the next result, which must be the only one, and returns it."""
        self.until(lambda: bool(self.rig.results))
        assert len(self.rig.results) == 1
        return self.rig.results.pop()


@contextmanager
def running_graph(*, namespace: str = "/", **parameters: str) -> Iterator[Graph]:
    """Runs robot_node with these parameters, connected and with joint states.

    The arms of the rig reach each target at once. So that they do not seem faster than their motors where this process
    waits for its turn, they are commanded at half of that speed unless a test says otherwise. For the same reason joint
    states may be older than on a robot.

    Parameter names have two underscores for a dot. The rig is in the namespace of robot_node.
    """
    lockstep = parameters.get("env__simulator", "none") != "none"
    slow = {} if lockstep else {"robot__max_velocity": str(MAX_VELOCITY), "robot__state_timeout": "2.0"}
    values = {"env__simulator": "none", **slow, **parameters}
    overrides = [word for name, value in values.items() for word in ("-p", f"{name.replace('__', '.')}:={value}")]
    rclpy.init(args=["--ros-args", "-r", f"__ns:={namespace}", *overrides])
    try:
        graph = Graph(lockstep=lockstep)
        with contextlib.closing(graph):
            graph.until(lambda: graph.rig.connected)
            graph.rig.publish_states()
            graph.until(lambda: len(graph.robot.arms_seen) == len(aloha.SIDES))
            yield graph
    finally:
        rclpy.shutdown()
