"""Converts image messages to and from numpy arrays."""

from __future__ import annotations

import sys

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.data.image_file import decode_image_file
from chunk_ppo_ros.nodes.wire.arrays import time_from_ns, to_array
from chunk_ppo_ros.robot.images import decode_image


def image_from_message(message: Image | CompressedImage) -> np.ndarray:
    """Returns the image of a message, uint8 [h, w, 3], RGB. It may share memory with the message.

    Raises:
        ValueError: for an encoding that is not supported, sizes that do not fit, or a damaged JPEG or PNG file.
    """
    if isinstance(message, CompressedImage):
        return decode_image_file(bytes(message.data))
    return decode_image(
        message.data, height=message.height, width=message.width, encoding=message.encoding, step=message.step
    )


def image_to_message(image: np.ndarray, *, stamp: int, frame_id: str) -> Image:
    """Returns an rgb8 message.

    Args:
        image: uint8 [h, w, 3], RGB.
        stamp: the ROS time of the image, ns.
        frame_id: the name of the camera.
    """
    message = Image(encoding="rgb8", height=image.shape[0], width=image.shape[1], step=3 * image.shape[1])
    message.header.stamp = time_from_ns(stamp)
    message.header.frame_id = frame_id
    message.is_bigendian = int(sys.byteorder == "big")
    message.data = to_array(image, "uint8")
    return message
