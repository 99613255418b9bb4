"""Writes small whole recordings, one for each format that is read, which are damaged afterwards."""

from __future__ import annotations

import dataclasses
import io
import pathlib
from collections.abc import Callable

import h5py
import numpy as np
from PIL import Image

from fuzz_recordings import bag_samples, lerobot_samples
from fuzz_recordings.motion import CAMERAS, NUM_STEPS, PROMPT, motion, picture


@dataclasses.dataclass(frozen=True)
class Sample:
    """A kind of recording, and how much of it one damaged byte may change where no checksum covers the byte.

    Attributes:
        name: the name of the kind.
        write: a function that writes two episodes into an empty folder.
        max_rows: the number of steps in which states or actions may differ.
        max_columns: the number of dimensions that may differ in such a step.
        max_images: the number of images that may differ.
    """

    name: str
    write: Callable[[pathlib.Path], object]
    max_rows: int = 1
    max_columns: int = 1
    max_images: int = 1


def _jpegs(images: np.ndarray) -> np.ndarray:
    files = []
    for image in images:
        Image.fromarray(image).save(buffer := io.BytesIO(), "JPEG", quality=95)
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    longest = max(map(len, files)) + 3
    return np.stack([np.pad(file, (0, longest - len(file))) for file in files])


def _write_hdf5(folder: pathlib.Path, *, jpeg: bool, compression: str | None) -> None:
    for number in range(2):
        with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
            file.attrs["sim"], file.attrs["prompt"], file.attrs["success"] = False, PROMPT, True
            states = motion(number)
            for name, values in (
                ("observations/qpos", states),
                ("observations/qvel", states),
                ("action", states + 0.01),
            ):
                file.create_dataset(name, data=values, compression=compression)
            for camera in CAMERAS:
                images = np.stack([picture(number, camera, step) for step in range(NUM_STEPS)])
                if jpeg:
                    file[f"observations/images/{camera}"] = _jpegs(images)
                else:
                    file.create_dataset(f"observations/images/{camera}", data=images, chunks=(1, *images.shape[1:]))


SAMPLES = (
    Sample("hdf5_raw", lambda folder: _write_hdf5(folder, jpeg=False, compression=None)),
    Sample("hdf5_jpeg", lambda folder: _write_hdf5(folder, jpeg=True, compression="gzip")),
    # A video has no checksums, and a damaged frame spoils those that follow it until the next key frame.
    Sample("lerobot_3_video", lerobot_samples.write_version_3_video, 4, 2, NUM_STEPS),
    Sample("lerobot_3_images", lerobot_samples.write_version_3_images, 4, 2, 1),
    Sample("lerobot_2_1", lerobot_samples.write_version_2_1, 4, 2, NUM_STEPS),
    # Steps lie between two messages, and one message may be the newest at several steps.
    Sample("teleop_mcap", bag_samples.write_teleop_mcap, 3, 7, 4),
    Sample("teleop_sqlite", bag_samples.write_teleop_sqlite, 3, 7, 4),
    Sample("teleop_cut_off", bag_samples.write_teleop_cut_off, 3, 7, 4),
    Sample("rollout", bag_samples.write_rollout, 4, 7, 1),
)
