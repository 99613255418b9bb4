"""Turns raw pixel buffers of cameras into RGB images, and RGB images into the square that the model takes.

This module knows no ROS. `nodes/wire/sensors/image_messages.py` passes the fields of a message to it. All supported
encodings have one byte per channel, so that byte order does not matter.
"""

from __future__ import annotations

import array
from typing import TypeAlias

import numpy as np

from chunk_ppo_ros.robot.resampling import resample

Buffer: TypeAlias = "bytes | bytearray | memoryview | array.array[int] | np.ndarray"
"""The objects in which middleware hands over the bytes of an image."""

_RGB = (0, 1, 2)
# The number of bytes of a pixel for each encoding, and which of them are red, green and blue.
_LAYOUTS: dict[str, tuple[int, tuple[int, int, int]]] = {
    "rgb8": (3, _RGB),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, _RGB),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}

ENCODINGS = tuple(_LAYOUTS)
"""The encodings that `decode_image` reads, by their names in sensor_msgs."""


def decode_image(data: Buffer, *, height: int, width: int, encoding: str, step: int) -> np.ndarray:
    """Returns the pixels of a raw image as RGB.

    Args:
        data: `step * height` bytes; an object with a buffer.
        height: the number of rows.
        width: the number of columns.
        encoding: one of `ENCODINGS`. The alpha channel is dropped.
        step: the number of bytes from one row to the next. Bytes beyond the pixels are padding.

    Returns:
        An array uint8 [height, width, 3]. It shares memory with `data` where it can.

    Raises:
        ValueError: for another encoding, an empty image, a step too short for a row, or a size that does not fit.
    """
    if encoding not in _LAYOUTS:
        raise ValueError(
            f"image encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}; set it in the driver"
        )
    if height < 1 or width < 1:
        raise ValueError(f"image must have at least one pixel, got {height} rows of {width}; check the camera's driver")
    bytes_per_pixel, channels = _LAYOUTS[encoding]
    row = width * bytes_per_pixel
    if step < row:
        raise ValueError(
            f"image step must be at least {row} bytes for {width} pixels of {encoding}, got {step}; check the driver"
        )
    flat = np.frombuffer(data, dtype=np.uint8)
    if flat.size != step * height:
        raise ValueError(
            f"image data must have step * height = {step} * {height} bytes, got {flat.size}; check the driver"
        )
    pixels = flat.reshape(height, step)[:, :row].reshape(height, width, bytes_per_pixel)
    return pixels if (bytes_per_pixel, channels) == (3, _RGB) else pixels[..., channels]


def resize_with_pad(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the image, fitted into a square with its proportions kept. Black bars fill the rest.

    The interpolation is linear, and its kernel widens when the image shrinks (antialiasing). The gray levels are the
    same as those of openpi's function of this name on a CPU; see `resampling.py`.

    Args:
        image: uint8 [h, w, 3].
        size: the side of the square, pixels.

    Returns:
        An image uint8 [size, size, 3]. It is `image` itself where that has this size already.

    Raises:
        ValueError: if the image is not uint8 [h, w, 3], or so long that less than a pixel of its short side is left.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 [h, w, 3], got {image.dtype} {list(image.shape)}")
    height, width = image.shape[:2]
    if height == width == size:
        return image
    ratio = max(width / size, height / size)
    new_height, new_width = int(height / ratio), int(width / ratio)
    if not new_height or not new_width:
        raise ValueError(f"image must be at most {size} times as long as wide, got {height} rows of {width} pixels")
    top, left = (size - new_height) // 2, (size - new_width) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + new_height, left : left + new_width] = resample(image, new_height, new_width)
    return square
