"""Records the images of the model's cameras as JPEG, in a thread of its own, so that no other message waits for it."""

from __future__ import annotations

import functools
import io
import queue
import threading
import time
from collections.abc import Callable

from PIL import Image as PillowImage
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rosbags.interfaces import Qos
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.common.sensors.camera_reader import CameraReader
from chunk_ppo_ros.nodes.recorder.topic_recording import OnMessage, described
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.robot import aloha

TYPE_NAME = "sensor_msgs/msg/CompressedImage"
"""The type of the images in a recording."""
QUALITY = 90
"""The quality of the JPEG files, of 100."""
MAX_WAITING = 64
"""The number of images that wait for the thread. Those that come while so many wait are left out, and counted."""
_TIMEOUT = 1.0  # s of silence after which another topic of a camera may take the place of the one in use


class CameraRecording:
    """Subscribes to the cameras of the model, and records each image on `TOPIC/compressed`.

    TOPIC is the first topic of `robot.image_topic`, also where the camera sends on another. Images that the driver
    sends compressed are recorded as they are.

    Args:
        node: the node that subscribes.
        config: the configuration of the run.
        on_message: is called with each message in the thread of the compression.
    """

    def __init__(self, node: Node, config: TrainConfig, on_message: OnMessage) -> None:
        self._logger = node.get_logger()
        self._on_message = on_message
        self._waiting: queue.Queue[tuple[str, int, Image | CompressedImage] | None] = queue.Queue(MAX_WAITING)
        self._num_left_out = 0
        self._readers: list[CameraReader] = []
        self._topics: dict[str, topics.Topic] = {}
        profile = qos.IMAGE_RECORDING
        for camera in (aloha.ROBOT_CAMERAS[key] for key in config.model.cameras):
            name = aloha.camera_topic(config.robot.image_topics[0], camera).removesuffix(aloha.COMPRESSED)
            topic = topics.Topic(name + aloha.COMPRESSED, CompressedImage, qos.IMAGE_PUBLISHER)
            resolved = node.resolve_topic_name(topic.name)
            self._topics[resolved] = topic
            take: Callable[[Image | CompressedImage], None] = functools.partial(self._take, resolved)
            reader = CameraReader(node, camera, config.robot, profile=profile, timeout=_TIMEOUT, on_image=take)
            self._readers.append(reader)
        self._thread = threading.Thread(target=self._compress, name="camera recording", daemon=True)
        self._thread.start()

    def offered(self, name: str) -> list[Qos]:
        """Returns the profile of a topic of a camera, as it is recorded; none for another topic."""
        topic = self._topics.get(name)
        return [] if topic is None else [described(topic.profile)]

    def look(self) -> None:
        """Looks which topics the cameras send on. It must be called about once a second."""
        for reader in self._readers:
            reader.watch()

    def close(self) -> None:
        """Records what waits, and ends the thread."""
        self._waiting.put(None)
        self._thread.join(timeout=1.0)

    def _take(self, name: str, message: Image | CompressedImage) -> None:
        try:
            self._waiting.put_nowait((name, time.time_ns(), message))
        except queue.Full:
            self._num_left_out += 1
            text = f"the processor is too slow to compress all images; {self._num_left_out} are left out so far"
            self._logger.warning(text, throttle_duration_sec=10.0)

    def _compress(self) -> None:
        while (taken := self._waiting.get()) is not None:
            name, received, message = taken
            try:
                compressed = message if isinstance(message, CompressedImage) else to_jpeg(message)
            except ValueError as error:
                self._logger.error(f"an image of {name} is not recorded: {error}", throttle_duration_sec=10.0)
                continue
            self._on_message(name, TYPE_NAME, received, serialize_message(compressed))


def to_jpeg(message: Image) -> CompressedImage:
    """Returns an image as JPEG, with the same header.

    Raises:
        ValueError: for an encoding that is not supported, or sizes that do not fit.
    """
    content = io.BytesIO()
    PillowImage.fromarray(image_from_message(message)).save(content, "JPEG", quality=QUALITY)
    compressed = CompressedImage(header=message.header, format="rgb8; jpeg compressed bgr8")
    compressed.data = content.getvalue()
    return compressed
