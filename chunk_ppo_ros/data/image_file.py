"""Compressed image files within recordings."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.errors import EpisodesError


def decode_file(content: bytes, where: str) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG file, as the format defines their colors; zeros may follow it.

    Args:
        content: the file.
        where: where it was found, for the message.

    Returns:
        uint8 [h, w, 3], RGB.

    Raises:
        EpisodesError: where it is no such file, or was cut short.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise EpisodesError(
            f"image must be a whole JPEG or PNG file, got {len(content)} bytes in {where}: {error}; leave "
            "the episode out"
        ) from error
