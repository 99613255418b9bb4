"""Listens to the ROS graph for a few seconds, and asks the drivers. It publishes nothing that a robot reads."""

from __future__ import annotations

import dataclasses
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.common.ros_log_folder import ensure_log_folder
from chunk_ppo_ros.nodes.common.status.diagnostics import own_name
from chunk_ppo_ros.nodes.doctor.graph_facts import Diagnostic, GraphFacts, ImageFacts, JointFacts
from chunk_ppo_ros.nodes.doctor.probes.inquiry import DriverInquiry, ManagerInquiry
from chunk_ppo_ros.nodes.doctor.probes.topic_log import TopicLog, publishers_of
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.runtime.ros_domain import keep_to_this_machine

DISCOVERY_TIME = 1.0
"""The seconds until the other nodes are known."""
LOOKING_PERIOD = 0.25
"""The time between two looks for services and topics, s."""


def look_at_graph(config: TrainConfig, *, seconds: float, namespace: str = "") -> GraphFacts:
    """Returns what is seen of the graph within some seconds.

    Args:
        config: the settings, which name the topics.
        seconds: how long it listens after the other nodes are known.
        namespace: the namespace of the graph.
    """
    keep_to_this_machine()
    ensure_log_folder()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        probe = GraphProbe(config, namespace)
        executor = make_step_executor()
        executor.add_node(probe)
        end = time.monotonic() + DISCOVERY_TIME + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
            probe.look_again()
        facts = probe.facts()
        executor.shutdown(timeout_sec=1.0)
        probe.destroy_node()
        return facts
    finally:
        rclpy.shutdown()


class GraphProbe(Node):
    """Subscribes to the sensors of the robot, and asks for what the back end of the settings has.

    Args:
        config: the settings.
        namespace: the namespace of the graph.
    """

    def __init__(self, config: TrainConfig, namespace: str) -> None:
        super().__init__(
            "doctor",
            namespace=namespace,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._config = config
        self._looks_again_at = time.monotonic() + LOOKING_PERIOD
        self._followers = {f"follower_{side}": TopicLog(self, topics.FOLLOWER_STATES[side]) for side in aloha.SIDES}
        self._leaders = {f"leader_{side}": TopicLog(self, topics.LEADER_STATES[side]) for side in aloha.SIDES}
        self._images: dict[str, list[TopicLog]] = {ROBOT_CAMERAS[key]: [] for key in config.model.cameras}
        for camera, logs in self._images.items():
            logs += [TopicLog(self, topic) for topic in self._topics(camera) if topic.message_type is Image]
        self._diagnostics: dict[str, Diagnostic] = {}
        topics.DIAGNOSTICS.create_subscription(self, self._on_diagnostics)
        self._drivers = [DriverInquiry(self, arm) for arm in self._asked("interbotix")]
        self._managers = [ManagerInquiry(self, arm) for arm in self._asked("ros2_control")]

    def look_again(self) -> None:
        """Sends the questions whose services have come meanwhile, and looks for topics, a few times a second."""
        now = time.monotonic()
        if now < self._looks_again_at:
            return
        self._looks_again_at = now + LOOKING_PERIOD
        inquiries: list[DriverInquiry | ManagerInquiry] = [*self._drivers, *self._managers]
        for inquiry in inquiries:
            for question in inquiry.questions:
                question.ask()
        self._find_compressed()

    def _find_compressed(self) -> None:
        """Subscribes to the compressed images of cameras of which nobody publishes raw ones."""
        for camera, logs in self._images.items():
            known = {log.topic.name for log in logs}
            if any(publishers_of(self, name) for name in known):
                continue
            for topic in self._topics(camera):
                if topic.name not in known and publishers_of(self, topic.name):
                    logs.append(TopicLog(self, topic))

    def facts(self) -> GraphFacts:
        """Returns what was seen so far."""
        images = tuple(_image_facts(camera, log) for camera, logs in self._images.items() for log in logs)
        ours = {self.resolve_topic_name(image.topic.name) for image in images}
        kinds = dict(self.get_topic_names_and_types())
        own = self.get_name()
        return GraphFacts(
            nodes=tuple(sorted(name for name in self.get_node_names() if name != own)),
            followers=tuple(_joint_facts(arm, log) for arm, log in self._followers.items()),
            leaders=tuple(_joint_facts(arm, log) for arm, log in self._leaders.items()),
            images=images,
            other_images=tuple(
                sorted(name for name, types in kinds.items() if "sensor_msgs/msg/Image" in types and name not in ours)
            ),
            publishers={topic.name: publishers_of(self, topic.name) for topic in topics.PUBLISHED_BY_ONE},
            drivers=tuple(driver.facts() for driver in self._drivers),
            managers=tuple(manager.facts() for manager in self._managers),
            diagnostics=tuple(self._diagnostics.values()),
        )

    def _asked(self, backend: str) -> list[str]:
        is_asked = self._config.robot.backend == backend and self._config.env.is_real
        return [f"follower_{side}" for side in aloha.SIDES] if is_asked else []

    def _topics(self, camera: str) -> tuple[topics.Topic, ...]:
        return topics.camera_images(camera, self._config.robot)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = own_name(status, self.get_namespace())
            if name is None:
                continue
            self._diagnostics[name] = Diagnostic(
                name,
                is_error=status.level in (DiagnosticStatus.ERROR, DiagnosticStatus.STALE),
                is_warning=status.level == DiagnosticStatus.WARN,
                text=status.message,
            )


def _joint_facts(arm: str, log: TopicLog) -> JointFacts:
    message = log.newest()
    if message is None:
        return JointFacts(arm, log.facts())
    return JointFacts(arm, log.facts(), tuple(message.name), tuple(message.position))


def _image_facts(camera: str, log: TopicLog) -> ImageFacts:
    message = log.newest()
    is_compressed = log.topic.message_type is not Image
    facts = ImageFacts(camera, log.facts(), is_compressed)
    if message is None:
        return facts
    facts = dataclasses.replace(facts, encoding=message.format if is_compressed else message.encoding)
    try:
        image = image_from_message(message)
    except ValueError as error:
        return dataclasses.replace(facts, problem=str(error))
    height, width = image.shape[:2]
    return dataclasses.replace(facts, height=height, width=width, mean=float(image.mean()), spread=float(image.std()))
