"""Moves the robot by robot_node's services, and reads its joint states and cameras meanwhile."""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from chunk_ppo_msgs.srv import MoveArms
from rclpy.executors import Executor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_srvs.srv import Trigger

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common.sensors.camera_reader import CameraReader
from chunk_ppo_ros.nodes.wire import qos, services, topics
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.robot import aloha, grippers

MOTION_NAME = "start of day"
MOTION_TIMEOUT = 60.0
"""The longest wait for the end of a motion, s."""
FRESH_STATES = 2
"""The joint states of an arm of which the last was measured after they were asked for."""
STATE_TIMEOUT = 3.0
"""The longest wait for them, s."""
SPIN = 0.02
"""The longest wait for a message before conditions are looked at again, s."""

OnPicture = Callable[[str, np.ndarray], None]
"""A function that takes the name of a camera and its picture, uint8 [h, w, 3]."""


class MotionFailed(UserError):
    """robot_node refused a motion, or ended it before its last pose. The text says why."""


class Robot(Protocol):
    """A robot that can be moved slowly and looked at."""

    def state(self) -> np.ndarray:
        """Returns joint positions of both arms that were measured after the call, float64 [14].

        Raises:
            MotionFailed: where an arm is silent.
        """

    def pictures(self) -> dict[str, np.ndarray]:
        """Returns the newest picture of each camera that sends, uint8 [h, w, 3]."""

    def watch(self, on_picture: OnPicture | None) -> None:
        """Calls a function with each picture from now on, or with none."""

    def wait(self, seconds: float) -> None:
        """Reads for some seconds."""

    def move(self, pose: np.ndarray, *, speed: float) -> None:
        """Moves the arms to a pose, float64 [14] with NaN for joints that stay.

        Raises:
            MotionFailed: where it does not arrive.
        """

    def call(self, service: str) -> None:
        """Calls a service of robot_node that takes nothing, such as `go_to_start_pose`, and waits for its answer.

        Raises:
            MotionFailed: where the answer is no.
        """


class RobotLink(Node):
    """The robot behind robot_node.

    Args:
        config: the settings that name cameras and grippers.
        executor: spins this node while it waits.
        namespace: the namespace of the graph.
    """

    def __init__(self, config: TrainConfig, executor: Executor, *, namespace: str = "") -> None:
        super().__init__("start_of_day", namespace=namespace, use_global_arguments=False)
        self._executor_of_waits = executor
        self._convention = grippers.convention_of(config.robot)
        self._states: dict[str, np.ndarray] = {}
        self._num_states: collections.Counter[str] = collections.Counter()
        self._pictures: dict[str, np.ndarray] = {}
        self._on_picture: OnPicture | None = None
        self._move = services.MOVE_ARMS.create_client(self)
        for side, topic in topics.FOLLOWER_STATES.items():
            on_states = functools.partial(self._on_states, side)
            topic.create_subscription(self, on_states, profile=qos.SENSOR)
        self.cameras = [ROBOT_CAMERAS[key] for key in config.model.cameras]
        self._readers = [self._reader(camera, config) for camera in self.cameras]
        executor.add_node(self)

    def _reader(self, camera: str, config: TrainConfig) -> CameraReader:
        on_image = functools.partial(self._on_image, camera)
        timeout = config.env.sensor_timeout
        return CameraReader(self, camera, config.robot, profile=qos.SENSOR, timeout=timeout, on_image=on_image)

    def await_robot(self, timeout: float) -> None:
        """Waits for both arms and robot_node, and for the cameras as long as they may still come.

        Raises:
            UserError: where an arm or robot_node is not there in time.
        """
        deadline = time.monotonic() + timeout
        while self._missing(with_cameras=True) and time.monotonic() < deadline:
            self.wait(0.2)
            for reader in self._readers:
                reader.watch()
        if missing := self._missing(with_cameras=False):
            raise UserError(
                f"{' and '.join(missing)} must be there within {timeout:g} s; start the drivers and robot_node, and "
                "call doctor"
            )

    def _missing(self, *, with_cameras: bool) -> list[str]:
        missing = [topic.name for side, topic in topics.FOLLOWER_STATES.items() if side not in self._states]
        missing += [] if self._move.service_is_ready() else ["robot_node's service move_arms"]
        return missing + [camera for camera in self.cameras if with_cameras and camera not in self._pictures]

    def state(self) -> np.ndarray:
        enough = {side: self._num_states[side] + FRESH_STATES for side in aloha.SIDES}
        deadline = time.monotonic() + STATE_TIMEOUT
        while silent := [side for side in aloha.SIDES if self._num_states[side] < enough[side]]:
            if time.monotonic() > deadline:
                raise MotionFailed(f"no joint states of the {' and the '.join(silent)} arm for {STATE_TIMEOUT:g} s")
            self._executor_of_waits.spin_once(timeout_sec=SPIN)
        return np.concatenate([self._states[side] for side in aloha.SIDES])

    def pictures(self) -> dict[str, np.ndarray]:
        return dict(self._pictures)

    def watch(self, on_picture: OnPicture | None) -> None:
        self._on_picture = on_picture

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor_of_waits.spin_once(timeout_sec=min(left, SPIN))

    def move(self, pose: np.ndarray, *, speed: float) -> None:
        request = MoveArms.Request(name=MOTION_NAME, poses=pose.tolist(), speed=speed)
        self._answer("move_arms", self._move.call_async(request))

    def call(self, service: str) -> None:
        client: Any = self.create_client(Trigger, f"robot_node/{service}")
        try:
            if not client.wait_for_service(timeout_sec=2.0):
                raise MotionFailed(f"the service {service} must be there, got none; start robot_node")
            self._answer(service, client.call_async(Trigger.Request()))
        finally:
            self.destroy_client(client)

    def _answer(self, service: str, future: Any) -> None:
        deadline = time.monotonic() + MOTION_TIMEOUT
        while not future.done():
            if time.monotonic() > deadline:
                raise MotionFailed(f"{service} must answer within {MOTION_TIMEOUT:g} s; look at robot_node's log")
            self._executor_of_waits.spin_once(timeout_sec=SPIN)
        if not future.result().success:
            raise MotionFailed(f"{service}: {future.result().message}")

    def _on_states(self, side: str, message: JointState) -> None:
        try:
            self._states[side] = aloha.side_state(message.name, message.position, self._convention)
            self._num_states[side] += 1
        except ValueError as error:
            self.get_logger().warning(str(error), once=True)

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        try:
            picture = image_from_message(message)
        except ValueError as error:
            self.get_logger().warning(f"{camera}: {error}", once=True)
            return
        self._pictures[camera] = picture
        if self._on_picture is not None:
            self._on_picture(camera, picture)
