"""Cameras of a fake robot. The picture of each wrist camera shows how far a gripper is open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.robot import aloha

NOISE = 3
"""The largest change of a gray level that a camera makes by itself."""
GRIPPER_GRAY = 80.0
"""The gray levels by which the picture of a wrist changes for each rad of its gripper's motor."""


class FakeCameras(Node):
    """Sends the images of all cameras by the newer name.

    Args:
        gripper: returns the angle of a side's gripper motor, rad.
        shown: the side whose gripper each wrist camera shows, by the camera's own side.
    """

    def __init__(self, gripper: Callable[[str], float], shown: dict[str, str]) -> None:
        super().__init__("cameras", use_global_arguments=False)
        self._gripper, self._shown = gripper, shown
        self._random = np.random.default_rng(0)
        self._publishers_of_images = {
            camera: self.create_publisher(Image, f"{camera}/camera/color/image_raw", qos.IMAGE_PUBLISHER)
            for camera in aloha.CAMERAS
        }
        self.create_timer(1 / 30, self._send)

    def _send(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        for camera, publisher in self._publishers_of_images.items():
            publisher.publish(image_to_message(self._picture(camera), stamp=stamp, frame_id=camera))

    def _picture(self, camera: str) -> np.ndarray:
        noise = self._random.integers(0, NOISE + 1, (48, 64, 3), dtype=np.uint8)
        picture = np.full((48, 64, 3), 100, np.uint8)
        for side, shown in self._shown.items():
            if camera == f"cam_{side}_wrist":
                picture[24:] = np.uint8(100 + GRIPPER_GRAY * max(0.0, min(self._gripper(shown), 1.5)))
        return picture + noise
