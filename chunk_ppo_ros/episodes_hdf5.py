"""Episodes in the HDF5 files of ALOHA's recorders, one file an episode.

`/observations/qpos` [T, 14], `/action` [T, 14] and `/observations/images/<camera>`: uint8 [T, h, w, 3], or JPEG files
with padding behind, [T, length], where the recorder compresses. The files hold neither rate nor prompt.
"""

from __future__ import annotations

import functools
import io
import pathlib

import h5py
import numpy as np
from PIL import Image

from chunk_ppo_ros.episode import Episode
from chunk_ppo_ros.errors import EpisodesError

RATE = 50.0
"""Control rate of ALOHA's recorders, Hz."""

SUFFIXES = (".hdf5", ".h5")

_STATES = "observations/qpos"
_ACTIONS = "action"
_IMAGES = "observations/images"


def read_hdf5(path: pathlib.Path, *, prompt: str = "") -> Episode:
    """The episode of a file.

    Raises:
        EpisodesError: where the file cannot be read or lacks states or actions.
    """
    try:
        with h5py.File(path) as file:
            found: list[str] = []
            file.visit(found.append)
            missing = [name for name in (_STATES, _ACTIONS) if name not in file]
            if missing:
                names = ", ".join(found) or "nothing"
                raise EpisodesError(f"an ALOHA episode must have {_STATES} and {_ACTIONS}, got {names} in {path}")
            cameras = {name: functools.partial(_read_image, path, name) for name in file.get(_IMAGES, ())}
            states, actions = (np.asarray(file[name], np.float32) for name in (_STATES, _ACTIONS))
    except OSError as error:
        raise EpisodesError(f"episode must be a readable HDF5 file, got {path}: {error}; record it again") from error
    return Episode(str(path), states, actions, RATE, prompt, cameras)


def _read_image(path: pathlib.Path, camera: str, step: int) -> np.ndarray:
    """uint8 [h, w, 3], RGB. Compressed images are taken as JPEG defines their colours, as openpi's converter does."""
    with h5py.File(path) as file:
        frame = np.asarray(file[_IMAGES][camera][step])
    if frame.ndim == 3:
        return frame
    return np.asarray(Image.open(io.BytesIO(frame.tobytes())).convert("RGB"))
