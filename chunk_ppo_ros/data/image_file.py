"""Decodes compressed image files, within recordings and messages."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.errors import EpisodesError


def decode_file(content: bytes, where: str) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG file, with the colors that the format defines.

    Args:
        content: the bytes of the file. Zeros may follow it.
        where: the place of the file, for the error text.

    Returns:
        An RGB image uint8 [h, w, 3].

    Raises:
        EpisodesError: where the bytes are no such file, or the file was cut short.
    """
    try:
        return _pixels(content)
    except (OSError, SyntaxError) as error:
        raise EpisodesError(
            f"image must be a whole JPEG or PNG file, got {len(content)} bytes in {where}: {error}; leave "
            "the episode out"
        ) from error


def decode_image_file(content: bytes) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG file that a camera sent, as `decode_file` does.

    Raises:
        ValueError: where the bytes are no such file, or the file was cut short.
    """
    try:
        return _pixels(content)
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"compressed image must be a whole JPEG or PNG file, got {len(content)} bytes: {error}; check the camera's "
            "driver"
        ) from error


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))
