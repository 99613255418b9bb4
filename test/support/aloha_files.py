"""Writes HDF5 files of one episode, as the recorders of several robots write them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

PICTURE = np.random.default_rng(1).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
"""Six images [6, 8, 10, 3]."""

INTERBOTIX_2 = ("camera_high", "camera_wrist_left", "camera_wrist_right")
"""The cameras of Interbotix' ALOHA 2.0 recorder on a robot that moves."""


def motion(num_steps: int = 6, dim: int = 14) -> np.ndarray:
    """Returns joints in rad and grippers of 0..1, float32 [T, dim], of which no two dimensions are alike."""
    steps = np.linspace(0.0, 0.3, num_steps)[:, None] + np.linspace(-0.5, 0.5, dim)[None]
    steps[:, 6::7] = np.linspace(0.1, 0.9, num_steps)[:, None]
    return steps.astype(np.float32)


def write_aloha(
    path: pathlib.Path,
    *,
    states: Any = None,
    actions: Any = None,
    images: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    more: Callable[[h5py.File], object] | None = None,
) -> pathlib.Path:
    """Writes an episode of six steps.

    Args:
        path: where the file is written. Its folder is made.
        states: replaces the states, `motion()`.
        actions: replaces the actions, which are 0.01 above the states.
        images: the images of each camera by its name; by default `PICTURE` of cam_high.
        attributes: attributes of the file.
        more: a function that writes more into the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file.attrs.update(attributes or {})
        file["observations/qpos"] = motion() if states is None else states
        file["action"] = motion() + 0.01 if actions is None else actions
        for name, content in ({"cam_high": PICTURE} if images is None else images).items():
            file[f"observations/images/{name}"] = content
        if more:
            more(file)
    return path
