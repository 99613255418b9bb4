"""Writes bags of `ros2 bag record` of a robot that leader arms drive, message by message."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from chunk_ppo_ros.robot import aloha

TYPES = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_000_000_000_000  # ns of ROS time
MS = 1_000_000
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
RAW = "/lab/cam_high/camera/color/image_raw"
HIGH, LOW = (f"/lab/{camera}/camera/color/image_rect_raw" for camera in ("cam_high", "cam_low"))


class Recording:
    """Writes a bag of messages. Each is received 1 ms after its time.

    Args:
        folder: the folder of the bag.
        storage: the kind of its files.
        namespace: the namespace of the joint states.
        clocks: the time in ms that is added to the stamps of a topic, by the end of the topic's name; None gives the
            stamp 0.
        compression: what is compressed, and how; None compresses nothing.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        storage: StoragePlugin = StoragePlugin.MCAP,
        namespace: str = "/lab",
        clocks: dict[str, int | None] | None = None,
        compression: tuple[CompressionMode, CompressionFormat] | None = None,
    ) -> None:
        self._writer = Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=storage)
        if compression is not None:
            self._writer.set_compression(*compression)
        self._writer.open()
        self._connections: dict[str, Any] = {}
        self.clocks = clocks or {}
        self.namespace = namespace

    def say(self, key: str, value: str) -> None:
        self._writer.set_custom_data(key, value)

    def close(self) -> None:
        self._writer.close()

    def write(self, topic: str, type_name: str, at_ms: int, **fields: Any) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, type_name, typestore=TYPES)
        clock = next((offset for end, offset in self.clocks.items() if topic.endswith(end)), 0)
        seconds, nanoseconds = (0, 0) if clock is None else divmod(START + (at_ms + clock) * MS, 10**9)
        stamp = TYPES.types["builtin_interfaces/msg/Time"](seconds, nanoseconds)
        header = TYPES.types["std_msgs/msg/Header"](stamp, "")
        data = TYPES.serialize_cdr(TYPES.types[type_name](header, **fields), type_name)
        self._writer.write(self._connections[topic], START + (at_ms + 1) * MS, data)

    def foreign(
        self, topic: str, type_name: str, *, definition: str, digest: str = "RIHS01_00", encoding: str = "cdr"
    ) -> None:
        """Writes one message of a type that is not known here, with what is given about it."""
        connection = self._writer.add_connection(
            topic, type_name, msgdef=definition, rihs01=digest, serialization_format=encoding
        )
        self._writer.write(connection, START, b"\0\1\0\0abc")

    def arms(
        self,
        first_ms: int,
        last_ms: int,
        *,
        parts: tuple[str, ...] = ("follower", "leader"),
        sides: tuple[str, ...] = ("left", "right"),
    ) -> None:
        """Writes joint states every 10 ms.

        Waists are at their time in s, and leaders are 1 rad further. On the right both are negative. Grippers are half
        open, which is 0.39606 rad of a follower's motor, 0.03822 m of its finger and -0.18795 rad of a leader's motor.
        """
        names = [*aloha.ARM_JOINTS, aloha.GRIPPER, aloha.LEFT_FINGER, aloha.RIGHT_FINGER]
        nothing = np.zeros(0)
        for time in range(first_ms, last_ms + 1, 10):
            for part in parts:
                for side in sides:
                    sign = 1.0 if side == "left" else -1.0
                    waist = sign * (time / 1000 + (part == "leader"))
                    motor = -0.18795 if part == "leader" else 0.396059
                    position = np.array([waist, *[0.0] * 5, motor, 0.03822, -0.03822])
                    fields = {"name": names, "position": position, "velocity": nothing, "effort": nothing}
                    self.write(
                        f"{self.namespace}/{part}_{side}/joint_states", "sensor_msgs/msg/JointState", time, **fields
                    )

    def images(self, topic: str, times_ms: range) -> None:
        """Writes images of 2 x 4 pixels. Red is a tenth of the time in ms (of which the last 8 bits), and blue is 7."""
        for time in times_ms:
            pixels = np.zeros((2, 4, 3), np.uint8)
            pixels[..., 2], pixels[..., 0] = time // 10 % 256, 7  # bgr8
            fields = {"height": 2, "width": 4, "encoding": "bgr8", "is_bigendian": 0, "step": 12}
            self.write(topic, IMAGE, time, **fields, data=pixels.reshape(-1))
