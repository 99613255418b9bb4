"""Decodes compressed image files, within recordings and messages."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.errors import EpisodesError

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, LookupError, ArithmeticError, MemoryError, EOFError, TypeError, AttributeError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
"""The errors that Pillow raises for a damaged file. Their kind depends on the place of the damage."""


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
        return _pixels(content, "image", place=f" in {where}", advice="leave the episode out")
    except ValueError as error:
        raise EpisodesError(str(error)) from error


def decode_image_file(content: bytes) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG file that a camera sent, as `decode_file` does.

    Raises:
        ValueError: where the bytes are no such file, or the file was cut short.
    """
    return _pixels(content, "compressed image", advice="check the camera's driver")


def _pixels(content: bytes, what: str, *, place: str = "", advice: str) -> np.ndarray:
    """Returns the pixels of a file.

    Args:
        content: the bytes of the file.
        what: the name of the image in the error text.
        place: the place of the file in the error text.
        advice: what to do about a file that cannot be read.

    Raises:
        ValueError: where the bytes are no such file, or the file was cut short.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode = image.mode
            pixels = np.asarray(image.convert("RGB"))
    except _DAMAGE as error:
        raise ValueError(
            f"{what} must be a whole JPEG or PNG file, got {len(content)} bytes{place}: {error}; {advice}"
        ) from error
    if mode.startswith(("I", "F")):  # Pillow clips such values to 255
        raise ValueError(f"{what} must have 8 bits a channel, got more (Pillow's mode {mode}){place}; {advice}")
    return pixels
