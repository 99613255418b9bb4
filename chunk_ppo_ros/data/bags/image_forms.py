"""Looks at the sizes and encodings of recorded images, and decodes them."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.image_file import decode_file
from chunk_ppo_ros.robot.images import ENCODINGS, decode_image

_COMPRESSED_ENCODINGS = ("", *ENCODINGS, "jpeg", "jpg", "png")
_EXCHANGED = "compressed rgb"
"""What the format of a compressed image says where red and blue were exchanged before compression."""


@dataclasses.dataclass(frozen=True)
class ImageForm:
    """Describes an image: its size, 0 where it is unknown, and its encoding as recorded."""

    height: int
    width: int
    encoding: str

    def __str__(self) -> str:
        return f"{self.width} x {self.height} {self.encoding or 'of no encoding'}"


def form_of(message: Any) -> ImageForm:
    """Returns the form of a raw or compressed image. Of a compressed file only the beginning is read."""
    if not hasattr(message, "format"):
        return ImageForm(message.height, message.width, message.encoding)
    try:
        with Image.open(io.BytesIO(bytes(message.data))) as image:
            return ImageForm(image.height, image.width, message.format)
    except (OSError, SyntaxError, ValueError):  # Decoding the image says what is wrong.
        return ImageForm(0, 0, message.format)


def decode(message: Any, where: str) -> np.ndarray:
    """Returns the pixels of a raw or compressed image, uint8 [h, w, 3].

    Args:
        message: an Image or a CompressedImage.
        where: the place of the image, for the error text.

    Raises:
        EpisodesError: where the image is damaged, or of an encoding that is not read.
    """
    if hasattr(message, "format"):
        encoding = message.format.partition(";")[0].strip().lower()
        if encoding not in _COMPRESSED_ENCODINGS and not encoding.startswith("bayer_"):
            raise EpisodesError(
                f"compressed images must be of {', '.join(ENCODINGS)}, got {message.format!r} on {where}; leave the "
                "topic out of robot.image_topic"
            )
        if _EXCHANGED in message.format:
            raise EpisodesError(
                f"compressed images must be written by OpenCV from bgr8, got {message.format!r} on {where}, where red "
                "and blue may be exchanged; record the raw images"
            )
        return decode_file(bytes(message.data), where)
    sizes = {"height": message.height, "width": message.width, "step": message.step}
    try:
        return decode_image(message.data, encoding=message.encoding, **sizes)
    except ValueError as error:
        raise EpisodesError(f"{error}; got it on {where}") from error
