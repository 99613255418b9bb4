"""Writes episodes of a few steps to ALOHA's HDF5 files, as its recorder writes them."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import h5py
import numpy as np
from PIL import Image

IMPLAUSIBLE = (
    "state_joint_unit",
    "action_joint_unit",
    "state_gripper_unit",
    "action_gripper_unit",
    "identical_episodes",
)
"""The keys of `--insist` with which checks accept episodes of `numbers`, which no robot has recorded."""

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)


def numbers(num_steps: int, dim: int = 14, first: float = 0.0) -> np.ndarray:
    """Returns the numbers 0, 0.01, 0.02 .. row by row, [T, dim]."""
    return (first + np.arange(num_steps * dim).reshape(num_steps, dim) / 100).astype(np.float32)


def write_hdf5(path: pathlib.Path, num_steps: int = 3, *, first: float = 0.0, images: Any = None) -> pathlib.Path:
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file["observations/qpos"] = numbers(num_steps, first=first)
        file["observations/qvel"] = numbers(num_steps)
        file["action"] = numbers(num_steps, first=first) + 1
        file["observations/images/cam_high"] = IMAGES[np.arange(num_steps) % 3] if images is None else images
    return path


def jpegs(images: np.ndarray) -> np.ndarray:
    """Returns JPEG files that zeros extend to one length, as ALOHA's recorder pads them."""
    files = []
    for image in images:
        Image.fromarray(image).save(buffer := io.BytesIO(), "JPEG", quality=100, subsampling=0)
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    longest = max(len(file) for file in files) + 5
    return np.stack([np.pad(file, (0, longest - len(file))) for file in files])
