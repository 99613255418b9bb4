"""Plays the operator of a robot: confirms the first motion, moves the arms to poses, starts and ends episodes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, PolicyVersion
from chunk_ppo_msgs.srv import EndEpisode
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.sensors.joints import leader_message
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS
from support.patience import PATIENCE
from support.service_paths import SERVICE_PATHS
from support.spinner import Spinner

LEADER_PERIOD = 0.01  # s


class OperatorNode(Node):
    """Listens to the graph, and publishes the joint states of two leader arms at rest where `leaders` is true."""

    def __init__(self, *, leaders: bool) -> None:
        super().__init__("operator", use_global_arguments=False)
        self.events: list[EpisodeEvent] = []
        self.results: list[ExecutionResult] = []
        self.version = -1
        self.robot_says = ""
        if leaders:
            self._leaders = {side: topic.create_publisher(self) for side, topic in topics.LEADER_STATES.items()}
            self.create_timer(LEADER_PERIOD, self._publish_leaders)
        self.create_subscription(EpisodeEvent, "episode_event", self.events.append, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(ExecutionResult, "execution_result", self.results.append, qos.RELIABLE)
        self.create_subscription(PolicyVersion, "policy_version", self._on_version, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)

    def _publish_leaders(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        convention = GRIPPER_CONVENTIONS["openpi"]
        for side, publisher in self._leaders.items():
            pose = np.array(aloha.START_POSE[aloha.side_slice(side)])
            message: JointState = leader_message(pose, stamp=stamp, convention=convention)
            publisher.publish(message)

    def _on_version(self, message: PolicyVersion) -> None:
        self.version = message.version

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("robot_node"):
                self.robot_says = status.message


class Operator(Spinner):
    """Does by services what a person at the robot does."""

    def __init__(self, *, leaders: bool) -> None:
        self.node = OperatorNode(leaders=leaders)
        self._said = ""  # why a service did not succeed
        super().__init__(self.node)

    def call(self, kind: type, service: str, **request: Any) -> Any:
        """Calls a service, and returns its answer."""
        client = self.node.create_client(kind, SERVICE_PATHS[service])
        self.until(client.service_is_ready, timeout=PATIENCE)
        future = client.call_async(kind.Request(**request))  # type: ignore[attr-defined]
        self.until(future.done, timeout=PATIENCE)
        return future.result()

    def until_done(self, service: str) -> None:
        """Calls a service of std_srvs/Trigger until it succeeds.

        Where robot_node wants a person to look at the robot first, as after an arm that lagged behind on a busy
        machine, the person does.
        """
        self.until(lambda: self._is_done(self.call(Trigger, service)), timeout=PATIENCE)

    def _is_done(self, answer: Trigger.Response) -> bool:
        if not answer.success:
            self._said = answer.message
            if "confirm_motion" in answer.message:
                self.call(Trigger, "confirm_motion")
            self.spin(0.3)
        return bool(answer.success)

    def run_episodes(self, *, until_version: int) -> None:
        """Brings the arms to the start pose and starts each episode until the policy has a version. Then ends it."""
        started: set[int] = set()

        def has_version() -> bool:
            newest = self.node.events[-1] if self.node.events else None
            if newest is not None and newest.event == EpisodeEvent.RESET and newest.episode not in started:
                started.add(newest.episode)
                self.until_done("go_to_start_pose")
                self.until_done("start_episode")
            return self.node.version >= until_version

        self.until(has_version, timeout=PATIENCE)
        self.call(EndEpisode, "end_episode", outcome=EpisodeEvent.DISCARDED)

    def seen(self) -> str:
        statuses = [result.status for result in self.node.results]
        said = {"robot": self.node.robot_says, "results": statuses, "answer": self._said}
        return json.dumps(said | {"messages": [result.message for result in self.node.results if result.message]})
