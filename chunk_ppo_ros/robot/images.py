"""Camera images: raw pixel buffers to RGB, and RGB to the model's square.

Nothing here knows ROS; `nodes/images.py` passes the fields of a message. All supported encodings have one byte per
channel, so byte order plays no part.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_CHANNELS: dict[str, tuple[int, ...]] = {
    "rgb8": (0, 1, 2),
    "bgr8": (2, 1, 0),
    "rgba8": (0, 1, 2),
    "bgra8": (2, 1, 0),
    "mono8": (0, 0, 0),
}
_BYTES_PER_PIXEL = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}

ENCODINGS = tuple(_CHANNELS)
"""Encodings that `decode_image` reads, by their names in sensor_msgs."""


def decode_image(data: Any, *, height: int, width: int, encoding: str, step: int) -> np.ndarray:
    """The pixels of a raw image as RGB.

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
    if encoding not in _CHANNELS:
        raise ValueError(
            f"image encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}; set it in the driver"
        )
    if height < 1 or width < 1:
        raise ValueError(f"image must have at least one pixel, got {height} rows of {width}")
    bytes_per_pixel = _BYTES_PER_PIXEL[encoding]
    row = width * bytes_per_pixel
    if step < row:
        raise ValueError(f"image step must be at least {row} bytes for {width} pixels of {encoding}, got {step}")
    flat = np.frombuffer(data, dtype=np.uint8)
    if flat.size != step * height:
        raise ValueError(f"image data must have step * height = {step} * {height} bytes, got {flat.size}")
    pixels = flat.reshape(height, step)[:, :row].reshape(height, width, bytes_per_pixel)
    return pixels if encoding == "rgb8" else pixels[..., _CHANNELS[encoding]]


def resize_with_pad(image: np.ndarray, size: int) -> np.ndarray:
    """Fits an image into a square, keeping its proportions; black bars fill the rest.

    Separable linear interpolation whose kernel widens when shrinking (antialiasing), in float32: within one grey level
    of `jax.image.resize(..., "linear")` followed by rounding, which openpi trains with.

    Args:
        image: uint8 [h, w, 3].
        size: side of the square, pixels.

    Returns:
        uint8 [size, size, 3]; the image itself where it has this size already.

    Raises:
        ValueError: if the image is not uint8 [h, w, 3].
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 [h, w, 3], got {image.dtype} {list(image.shape)}")
    height, width = image.shape[:2]
    if height == width == size:
        return image
    ratio = max(width / size, height / size)
    new_height, new_width = int(height / ratio), int(width / ratio)
    rows = _weights(height, new_height) @ image.reshape(height, -1).astype(np.float32)
    pixels = np.matmul(_weights(width, new_width), rows.reshape(new_height, width, 3))
    top, left = (size - new_height) // 2, (size - new_width) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + new_height, left : left + new_width] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return square


@functools.lru_cache(maxsize=32)
def _weights(size: int, new_size: int) -> np.ndarray:
    """float32 [new_size, size], rows sum to 1: triangle kernels around the new pixels' centres.

    New pixel i has its centre at (i + 1/2) * size / new_size - 1/2 in old pixels; the kernel's half width is one old
    pixel, or one new pixel where that is larger. Computed in float32, so that rounding agrees with openpi's.
    """
    inverse_scale = np.float32(1.0) / np.float32(new_size / size)
    half_width = max(inverse_scale, np.float32(1.0))
    centres = (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * inverse_scale - np.float32(0.5)
    distances = np.abs(centres[:, None] - np.arange(size, dtype=np.float32)) / half_width
    kernel = np.maximum(np.float32(0.0), np.float32(1.0) - distances)
    weights = kernel / np.sum(kernel, axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights
