"""Reads episodes from the HDF5 files of ALOHA's recorders. Each file is one episode.

A file has `/observations/qpos` [T, 14], `/action` [T, 14] and `/observations/images/<camera>`. Images are uint8
[T, h, w, 3], or, where the recorder compresses, JPEG files with padding behind, [T, length]. The recorders write
neither rate nor prompt. The attributes `prompt` and `success` of the file are read where a person has added them.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterator

import h5py
import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.image_file import decode_file
from chunk_ppo_ros.robot import aloha, grippers

SUFFIXES = (".hdf5", ".h5")
"""The ends of the names of the recorders' files."""

_STATES = "observations/qpos"
_ACTIONS = "action"
_IMAGES = "observations/images"


class AlohaFileReader:
    """Reads a single file, as an `EpisodeReader`."""

    description = f"ALOHA files (*{', *'.join(SUFFIXES)})"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a file whose name ends with one of `SUFFIXES`."""
        return path.is_file() and path.suffix in SUFFIXES

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
        """Yields the one episode of the file."""
        yield read_hdf5(path, convention=grippers.convention_of(config.robot), prompt=config.run.prompt)


class AlohaFolderReader:
    """Reads the files of a folder, as an `EpisodeReader`."""

    description = AlohaFileReader.description

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a folder that has a file whose name ends with one of `SUFFIXES`."""
        return path.is_dir() and any(file.suffix in SUFFIXES for file in path.iterdir())

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
        """Yields one episode for each file, with episode_2 before episode_10."""
        files = [file for file in path.iterdir() if file.suffix in SUFFIXES]
        for file in sorted(files, key=_by_number):
            yield read_hdf5(file, convention=grippers.convention_of(config.robot), prompt=config.run.prompt)


def _by_number(file: pathlib.Path) -> list[tuple[int, str]]:
    """Returns a key of a file that sorts episode_2 before episode_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.stem)]


def read_hdf5(path: pathlib.Path, *, convention: grippers.GripperConvention, prompt: str = "") -> Episode:
    """Returns the episode of a file.

    Args:
        path: the path of the file.
        convention: the convention by which the recorder normalized grippers, with the linkage of its driver.
        prompt: the prompt that replaces the file's own where it is not empty.

    Raises:
        EpisodesError: where the file cannot be read, lacks states or actions, or lacks an image of a camera at a step.
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
            for name in cameras:
                if len(file[_IMAGES][name]) != len(states):
                    raise EpisodesError(
                        f"camera {name} must have an image for each of {len(states)} steps, got "
                        f"{len(file[_IMAGES][name])} in {path}; leave the episode out"
                    )
            prompt = prompt or _words(file.attrs.get("prompt", ""))
            success = _truth(file.attrs["success"], path) if "success" in file.attrs else None
    except OSError as error:
        raise EpisodesError(f"episode must be a readable HDF5 file, got {path}: {error}; record it again") from error
    states = _with_true_openings(states, convention)
    return Episode(str(path), states, actions, aloha.CONTROL_RATE, prompt, success, cameras)


def _with_true_openings(states: np.ndarray, convention: grippers.GripperConvention) -> np.ndarray:
    """Returns states [T, 7 or 14] whose grippers do not depend on the linkage of the recording robot's driver."""
    num_arms, rest = divmod(states.shape[-1], aloha.SIDE_DIM)
    if rest:
        return states
    indices = aloha.GRIPPER_INDICES[:num_arms]
    corrected = states.copy()
    corrected[:, indices] = convention.state_opening_from_recorder(states[:, indices].astype(float))
    return corrected


def _words(attribute: str | bytes) -> str:
    """Returns an attribute as a string. HDF5 gives strings of a fixed length as bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def _truth(attribute: object, path: pathlib.Path) -> bool:
    """Returns an attribute as a bool.

    Raises:
        EpisodesError: for words, because the word "false" would count as true.
    """
    if not isinstance(attribute, (bool, int, np.bool_, np.integer)):
        raise EpisodesError(
            f"the attribute success of an episode must be true or false, got {attribute!r} in {path}; write a bool"
        )
    return bool(attribute)


def _read_image(path: pathlib.Path, camera: str, step: int) -> np.ndarray:
    """Returns the RGB image uint8 [h, w, 3] of a step.

    Compressed images have the colors that JPEG defines, as in openpi's converter.
    """
    try:
        with h5py.File(path) as file:
            frame = np.asarray(file[_IMAGES][camera][step])
    except OSError as error:
        raise EpisodesError(f"images must be readable, got {path}: {error}; copy or record it again") from error
    return frame if frame.ndim == 3 else decode_file(frame.tobytes(), f"{camera}, step {step} of {path}")
