"""Reads the images of one camera from whichever of its topics sends.

The driver of ALOHA's cameras has renamed its topic of color images between versions, and a camera may send raw images,
compressed ones, or both. Of several topics that send at the same time one is read.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import publishers_of
from chunk_ppo_ros.nodes.wire import topics

OnImage = Callable[[Image | CompressedImage], None]


class CameraReader:
    """Subscribes to the topics of one camera, and hands on the images of one of them.

    It subscribes to the raw topics at once, and to a compressed one only where no raw topic has a publisher. Otherwise
    the driver would compress images that nobody needs.

    Args:
        node: the node that subscribes.
        camera: the name of the camera on the robot.
        config: the settings of the robot, which name the topics. Earlier ones are preferred.
        profile: the QoS profile of the subscriptions.
        timeout: the silence of the topic in use after which another may take its place, s.
        on_image: is called with each image of the topic in use.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        config: RobotConfig,
        *,
        profile: QoSProfile,
        timeout: float,
        on_image: OnImage,
    ) -> None:
        self._node, self._camera, self._profile = node, camera, profile
        self._timeout, self._on_image = timeout, on_image
        self._topics = topics.camera_images(camera, config)
        self._subscribed: set[str] = set()
        self._in_use: int | None = None  # its place among the topics
        self._newest = time.monotonic()  # the arrival of its newest image
        for place, topic in enumerate(self._topics):
            if topic.message_type is Image or len(self._topics) == 1:
                self._subscribe(place)

    @property
    def topic_names(self) -> str:
        """The topics that the camera may send on, in words. Each raw one may also be a compressed one."""
        raw = [topic.name for topic in self._topics if topic.message_type is Image]
        return " or ".join(raw or [topic.name for topic in self._topics])

    def senders(self, *, of_all_topics: bool) -> tuple[str, ...]:
        """Returns the full names of the nodes that send images of this camera. Only one of them is the camera.

        Args:
            of_all_topics: whether all topics count. Otherwise only the one in use does, because another node may
                publish the rectified images of a camera.
        """
        if self._in_use is None:
            return ()
        counted = self._topics if of_all_topics else (self._topics[self._in_use],)
        return tuple(sorted({name for topic in counted for name, _ in publishers_of(self._node, topic.name)}))

    def watch(self) -> None:
        """Subscribes to a compressed topic where it alone has publishers. Call it about once a second."""
        if self._in_use is not None and time.monotonic() - self._newest <= self._timeout:
            return
        sending = [place for place, topic in enumerate(self._topics) if self._has_publisher(topic.name)]
        if sending and self._topics[sending[0]].name not in self._subscribed:
            self._subscribe(sending[0])

    def _has_publisher(self, name: str) -> bool:
        return bool(self._node.get_publishers_info_by_topic(name))

    def _subscribe(self, place: int) -> None:
        topic = self._topics[place]
        self._subscribed.add(topic.name)
        topic.create_subscription(self._node, functools.partial(self._on_message, place), profile=self._profile)

    def _on_message(self, place: int, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        if self._in_use is not None and place > self._in_use and now - self._newest <= self._timeout:
            return  # A topic that is preferred to this one sends the same images.
        if place != self._in_use:
            if place or self._in_use is not None:
                self._node.get_logger().info(f"reads {self._camera} from {self._topics[place].name}")
            self._in_use = place
        self._newest = now
        self._on_image(message)
