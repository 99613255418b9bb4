"""Writes demonstrations of your own as ALOHA HDF5 files, which `inspect`, `norm-stats` and `pretrain` read.

Replace `record` by what reads your recordings. Then look at the files, and imitate them:

    .venv/bin/python examples/own_demonstrations.py my_episodes
    chunk_ppo inspect my_episodes --picture my_episodes.png
    chunk_ppo pretrain --config debug --episodes my_episodes --exp_name mine --no_wandb
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
PROMPT = "wave with both arms"


def record(number: int) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Yields the steps of an episode at 50 Hz: the state, the target, and an RGB image [h, w, 3] of each camera.

    States and targets have 14 numbers: six joints in rad and the gripper (0 closed, 1 open) of the left arm, then those
    of the right arm.
    """
    rest = np.tile([0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.5], 2)
    for step in range(150):
        state, target = (rest + 0.3 * np.sin(0.05 * at + number) * (np.arange(14) % 7 == 0) for at in (step, step + 1))
        images = {camera: np.full((48, 64, 3), 40 + step, np.uint8) for camera in CAMERAS}
        for image in images.values():
            image[20:28, 20 + step // 10 : 28 + step // 10] = (230, 30, 30)  # something red that moves
        yield state, target, images


def write(path: Path, number: int) -> None:
    """Writes one episode."""
    states, targets, images = zip(*record(number), strict=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(sim=False, prompt=PROMPT, success=True)
        file["observations/qpos"] = np.array(states, np.float32)
        file["action"] = np.array(targets, np.float32)
        for camera in CAMERAS:
            file[f"observations/images/{camera}"] = np.stack([each[camera] for each in images])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for episode in range(4):
        write(folder / f"episode_{episode}.hdf5", episode)
    print(f"wrote 4 episodes to {folder}")
