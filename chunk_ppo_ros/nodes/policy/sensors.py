"""Subscribes to the robot's sensors, decodes their messages into observations, and reports their conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sensor_msgs.msg import CompressedImage, Image, JointState

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from chunk_ppo_ros.nodes.common.sensors.camera_reader import CameraReader
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import SensorAge, age_of
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.camera_watch import CameraWatch
from chunk_ppo_ros.robot.images import resize_with_pad
from chunk_ppo_ros.robot.sensor_sync import SensorSync, SilentSensor, SyncedSensors


class Sensors:
    """Subscribes to the cameras and joint states, and reports why there is no observation.

    Args:
        node: the node that subscribes and reports the conditions.
        config: the configuration, which names the cameras, topics, tolerances and time-outs.
        on_news: is called after each reading.
    """

    def __init__(self, node: WorkerNode, config: TrainConfig, *, on_news: Callable[[], None]) -> None:
        self._node = node
        self._config = config
        self._on_news = on_news
        self._waiting_since: float | None = None
        self._convention = grippers.convention_of(config.robot)
        cameras = tuple(aloha.ROBOT_CAMERAS[key] for key in config.model.cameras)
        # What sim_node renders has no noise.
        self._watches = {} if config.env.has_scene else {camera: CameraWatch() for camera in cameras}
        self._doubtful: set[str] = set()  # the cameras whose pictures cannot be right
        self._shared: set[str] = set()  # the cameras for which several nodes send images
        self._sync = SensorSync(cameras, optional_cameras=config.robot.optional_cameras, now=time.monotonic())
        profile = qos.SENSOR_LOCKSTEP if config.env.is_lockstep else qos.SENSOR
        self._readers = {
            camera: CameraReader(
                node,
                camera,
                config.robot,
                profile=profile,
                timeout=config.env.sensor_timeout,
                on_image=partial(self._on_image, camera),
            )
            for camera in cameras
        }
        for side, topic in topics.FOLLOWER_STATES.items():
            topic.create_subscription(node, partial(self._on_joint_state, side), profile=profile)

    @property
    def hold_reason(self) -> str:
        """Why the policy must hold although the sensors send, or an empty string."""
        if self._shared:
            return f"several nodes send images of {', '.join(sorted(self._shared))}"
        if not self._doubtful or not self._config.robot.hold_on_camera_fault:
            return ""
        return f"{', '.join(sorted(self._doubtful))} cannot be right (robot.hold_on_camera_fault)"

    def take(self, *, newer_than: int) -> SyncedSensors | None:
        """Returns one reading of each sensor, none older than `newer_than` (ns of ROS time), or None.

        It is None too while several nodes send the images of a camera, and while a camera cannot be right, if
        `robot.hold_on_camera_fault` is set.
        """
        if self.hold_reason:
            self.stop_waiting()
            return None
        readings = self._sync.take(newer_than=newer_than, tolerance=self._config.env.sync_tolerance)
        if readings is not None:
            self._waiting_since = None
            self._node.clear_condition(sensor_conditions.SENSORS_SILENT)
            self._node.clear_condition(sensor_conditions.SENSORS_APART)
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
            self._sync.expect(self._waiting_since)
        return readings

    def peek(self) -> SyncedSensors | None:
        """Returns one reading of each sensor, however old, or None. It does not wait for readings."""
        return self._sync.take(newer_than=0, tolerance=self._config.env.sync_tolerance)

    def stop_waiting(self) -> None:
        """Stops waiting for readings, because none are needed now. In lockstep the sensors are then silent."""
        self._waiting_since = None

    def watch(self) -> None:
        """Looks for cameras on other topics, and reports which sensors have been waited for too long."""
        for camera, reader in self._readers.items():
            reader.watch()
            self._watch_senders(camera, reader.senders(of_all_topics=self._config.env.is_mirrored))
        now, timeout = time.monotonic(), self._config.env.sensor_timeout
        if self._waiting_since is None or now - self._waiting_since <= timeout:
            return
        silent = self._sync.silent(now, timeout)
        if silent:
            sensors, names = ", ".join(map(self._named, silent)), tuple(sensor.name for sensor in silent)
            self._node.raise_condition(sensor_conditions.SENSORS_SILENT, sensors=sensors, names=names)
        else:
            waited, tolerance = now - self._waiting_since, self._config.env.sync_tolerance
            self._node.clear_condition(sensor_conditions.SENSORS_SILENT)
            self._node.raise_condition(sensor_conditions.SENSORS_APART, waited=waited, tolerance=tolerance)

    def _watch_senders(self, camera: str, senders: tuple[str, ...]) -> None:
        """Reports a camera whose images come from several nodes, such as a mirror beside the camera itself."""
        if len(senders) > 1:
            self._shared.add(camera)
            self._node.raise_condition(sensor_conditions.CAMERA_SHARED, camera=camera, senders=" and ".join(senders))
        else:
            self._shared.discard(camera)
            self._node.clear_condition(sensor_conditions.CAMERA_SHARED, camera=camera)

    @property
    def ages(self) -> list[SensorAge]:
        """How old the newest reading of each camera and arm is."""
        now = self._node.get_clock().now().nanoseconds
        stamps = self._sync.stamps.items()
        return [age_of(name, stamp, now=now, topic=self._topic_of(name)) for name, stamp in stamps]

    def _named(self, sensor: SilentSensor) -> str:
        """Returns which sensor is silent, for how long and on which topics."""
        return f"{sensor} on {self._topic_of(sensor.name)}"

    def _topic_of(self, sensor: str) -> str:
        """Returns the topics of a sensor, which is a camera, "left arm" or "right arm"."""
        if sensor in self._readers:
            return str(self._readers[sensor].topic_names)
        return topics.FOLLOWER_STATES[sensor.removesuffix(" arm")].name

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        try:
            image = image_from_message(message)
        except ValueError as error:
            self._node.raise_condition(sensor_conditions.IMAGE_UNREADABLE, camera=camera, reason=str(error))
            return
        self._node.clear_condition(sensor_conditions.IMAGE_UNREADABLE, camera=camera)
        stamp = time_to_ns(message.header.stamp)
        self._watch_content(camera, image, stamp)
        self._sync.add_image(camera, image, stamp=stamp, now=time.monotonic())
        self._on_news()

    def _watch_content(self, camera: str, image: np.ndarray, stamp: int) -> None:
        """Reports a camera of a real robot whose images cannot be right. In a simulator a scene may stand still."""
        if camera not in self._watches:
            return
        faults = self._watches[camera].see(image, stamp=stamp)
        if faults:
            self._doubtful.add(camera)
            kind, reason = tuple(fault.kind for fault in faults), "; ".join(fault.text for fault in faults)
            if self._config.robot.hold_on_camera_fault:
                reason += "; the policy holds (robot.hold_on_camera_fault)"
            self._node.raise_condition(sensor_conditions.CAMERA_DOUBTFUL, camera=camera, kind=kind, reason=reason)
        else:
            self._doubtful.discard(camera)
            self._node.clear_condition(sensor_conditions.CAMERA_DOUBTFUL, camera=camera)

    def _on_joint_state(self, side: str, message: JointState) -> None:
        try:
            state = aloha.side_state(message.name, message.position, self._convention)
        except ValueError as error:
            self._node.raise_condition(sensor_conditions.ARM_UNREADABLE, side=side, reason=str(error))
            return
        self._node.clear_condition(sensor_conditions.ARM_UNREADABLE, side=side)
        stamp = time_to_ns(message.header.stamp)
        self._sync.add_state(side, state, stamp=stamp, now=time.monotonic())
        self._on_news()


def make_observation(readings: SyncedSensors, *, image_size: int, prompt: str) -> Observation:
    """Returns the readings as an observation.

    Args:
        readings: one reading of each sensor.
        image_size: the side in pixels of the squares that images are fitted into. A missing image becomes zeros.
        prompt: the task in words.
    """
    blank = np.zeros((image_size, image_size, 3), np.uint8)
    images = [blank if image is None else resize_with_pad(image, image_size) for image in readings.images]
    return Observation(
        images=np.stack(images), image_mask=readings.image_mask, state=readings.state.astype(np.float32), prompt=prompt
    )
