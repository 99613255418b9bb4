"""Compares images with what a dataset declares of them, and reads those in the rows."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import ReadImage
from chunk_ppo_ros.data.image_file import decode_file
from chunk_ppo_ros.data.lerobot.features import Feature
from chunk_ppo_ros.data.lerobot.parquet_files.files import read_cell
from chunk_ppo_ros.data.lerobot.row_index import EpisodeRows

_CHANNELS = {"1": 1, "L": 1, "LA": 1, "RGBA": 4}
"""The channels of the kinds of images that Pillow tells apart. Others, such as palettes, become three."""


def check_size(feature: Feature, height: int, width: int, where: str) -> None:
    """Compares the size of an image with the declared one.

    Raises:
        EpisodesError: where they differ.
    """
    declared = feature.image_size
    if declared and declared[:2] != (height, width):
        raise EpisodesError(
            f"images of {feature.camera} must be {declared[1]}x{declared[0]} as declared in meta/info.json, got "
            f"{width}x{height} in {where}; correct the shape there, or download the dataset again"
        )


def check_colors(feature: Feature, channels: int, bits: int, where: str, *, is_video: bool = False) -> None:
    """Compares the channels of an image with the declared ones. Gray of more than 8 bits is never a picture.

    Args:
        feature: the feature of the camera.
        channels: the channels of the image.
        bits: the bits of each channel.
        where: the place of the image, for error texts.
        is_video: whether it is a video, which stores gray pictures as colors.

    Raises:
        EpisodesError: where they differ.
    """
    declared = feature.image_size
    if channels == 1 and bits != 8:
        raise EpisodesError(
            f"images of {feature.camera} must be of colors or gray of 8 bits, got gray of {bits} bits in {where}; such "
            f"images are of depth: declare is_depth_map for {feature.name} in meta/info.json, or take it out there"
        )
    if declared and declared[2] != channels and not (declared[2] == 1 and is_video):
        raise EpisodesError(
            f"images of {feature.camera} must have {declared[2]} channels as declared in meta/info.json, got "
            f"{channels} in {where}; correct the shape there, or record the camera again"
        )


def row_camera(feature: Feature, rows: EpisodeRows) -> ReadImage:
    """Returns the function that reads a step's image from the rows.

    Args:
        feature: the feature of the camera.
        rows: the rows of the episode.
    """
    return functools.partial(_read_image, feature, rows)


def _read_image(feature: Feature, rows: EpisodeRows, step: int) -> np.ndarray:
    where = f"{feature.name}, {rows.where(step)}"
    cell = read_cell(rows.files[rows.file[step]], feature.name, int(rows.row[step]))
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes) or not content:
        raise EpisodesError(f"images must be in the Parquet files, got none in {where}; add them")
    image = decode_file(content, where)
    check_size(feature, image.shape[0], image.shape[1], where)
    with Image.open(io.BytesIO(content)) as opened:
        check_colors(feature, _CHANNELS.get(opened.mode, 3), 8, where)
    return image
