"""Camera images: raw pixel buffers to RGB, and RGB to the model's square.

Nothing here knows ROS; `nodes/wire/images.py` passes the fields of a message. All supported encodings have one byte per
channel, so byte order plays no part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunk_ppo_ros.robot.resampling import resample

_RGB = (0, 1, 2)
# By encoding: bytes of a pixel, and which of them are red, green and blue.
_LAYOUTS: dict[str, tuple[int, tuple[int, int, int]]] = {
    "rgb8": (3, _RGB),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, _RGB),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}

ENCODINGS = tuple(_LAYOUTS)
"""Encodings that `decode_image` reads, by their names in sensor_msgs."""


def decode_image(data: Any, *, height: int, width: int, encoding: str, step: int) -> np.ndarray:
    """Returns the pixels of a raw image as RGB.

    Args:
        data: the bytes, `step * height` of them; anything with a buffer.
        height: rows.
        width: columns.
        encoding: one of `ENCODINGS`; alpha is dropped.
        step: bytes from one row to the next; more than the pixels need is padding.

    Returns:
        uint8 [height, width, 3]; shares memory with `data` where it can.

    Raises:
        ValueError: for another encoding, an empty image, a step too short for a row, or a size that does not fit.
    """
    if encoding not in _LAYOUTS:
        raise ValueError(
            f"image encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}; set it in the driver"
        )
    if height < 1 or width < 1:
        raise ValueError(f"image must have at least one pixel, got {height} rows of {width}")
    bytes_per_pixel, channels = _LAYOUTS[encoding]
    row = width * bytes_per_pixel
    if step < row:
        raise ValueError(f"image step must be at least {row} bytes for {width} pixels of {encoding}, got {step}")
    flat = np.frombuffer(data, dtype=np.uint8)
    if flat.size != step * height:
        raise ValueError(f"image data must have step * height = {step} * {height} bytes, got {flat.size}")
    pixels = flat.reshape(height, step)[:, :row].reshape(height, width, bytes_per_pixel)
    return pixels if (bytes_per_pixel, channels) == (3, _RGB) else pixels[..., channels]


def resize_with_pad(image: np.ndarray, size: int) -> np.ndarray:
    """Fits an image into a square, keeping its proportions; black bars fill the rest.

    Linear interpolation whose kernel widens when shrinking (antialiasing): to the grey level what openpi's own function
    of this name gives on a CPU; see `resampling.py`.

    Args:
        image: uint8 [h, w, 3].
        size: side of the square, pixels.

    Returns:
        uint8 [size, size, 3]; the image itself where it has this size already.

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
