"""Makes motions that a robot could have recorded, and HDF5 files of them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from chunk_ppo_ros.robot import aloha

RATE = 50.0
LAG_STEPS = 5
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")


def random_motion(seed: int, num_steps: int = 300) -> np.ndarray:
    """Returns smooth motions of both arms within the limits, float64 [T, 14], no two dimensions alike."""
    steps = np.random.default_rng(seed).normal(size=(num_steps + 100, 14))
    for _ in range(3):  # a random walk of the velocity, without jerks
        steps = np.stack([np.convolve(column, np.ones(15) / 15, mode="same") for column in steps.T], axis=1)
    walk = np.cumsum(steps, axis=0)[50:-50]
    values = 0.6 * (walk - walk.min(axis=0)) / np.ptp(walk, axis=0) - 0.3
    values[:, aloha.GRIPPER_INDICES] = 0.5 + 0.7 * values[:, aloha.GRIPPER_INDICES]
    return np.asarray(values)


def write_motion(path: Path, seed: int) -> Path:
    """Writes an episode of 295 steps to an HDF5 file of ALOHA, in which states follow actions by 100 ms."""
    moved = random_motion(seed).astype(np.float32)
    length = len(moved) - LAG_STEPS
    pictures = np.repeat(20 + np.arange(length, dtype=np.uint8) % 200, 6 * 8 * 3).reshape(length, 6, 8, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["observations/qpos"], file["action"] = moved[:-LAG_STEPS], moved[LAG_STEPS:]
        for camera in CAMERAS:
            file[f"observations/images/{camera}"] = pictures
    return path
