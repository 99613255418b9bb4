"""Cuts recorded episodes into chunks to learn from. Each has what the policy would have seen, and what was done then.

Images are read and fitted to the model one after the other. They are written into a file that is mapped into memory,
because the images of three cameras in one hour do not fit into memory. The file has no name, and it ends with the array
that maps it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, ReadImage, camera_names, chunks_at, seen_starts
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.images import resize_with_pad

_GIGABYTE = 1e9


@dataclasses.dataclass(frozen=True)
class RecordedChunks:
    """Holds the N chunks of E recorded episodes, in order.

    Attributes:
        images: uint8 [N, C, h, w, 3], the images at the start of each chunk, in a mapped file; zeros where masked.
        image_mask: bool [N, C], true where a camera has an image.
        state: float32 [N, S], the state at the start of each chunk, rad, grippers normalized.
        actions: float32 [N, H, D], the absolute joint targets, rad, grippers normalized. Beyond the end of the episode
            the last one is repeated.
        episodes: int32 [N], the number of each chunk's episode, 0..E-1.
        prompts: the task of each episode in words.
    """

    images: np.ndarray
    image_mask: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    episodes: np.ndarray
    prompts: tuple[str, ...]


def read_chunks(
    episodes: Sequence[Episode],
    config: TrainConfig,
    *,
    folder: pathlib.Path,
    stride: int,
    on_chunk: Callable[[], object] = lambda: None,
) -> RecordedChunks:
    """Returns the chunks of episodes, with the images at their starts.

    Args:
        episodes: at least one episode, all with the same dimensions.
        config: the settings, of which the model's horizon, cameras and image size, `pretrain.episode_cameras` and
            `robot.optional_cameras` are read.
        folder: the folder on whose disk the images are kept meanwhile. It is made if it is missing.
        stride: the least number of control steps between the starts of two chunks, > 0.
        on_chunk: a function that is called after the images of each chunk.

    Raises:
        EpisodesError: where a task or a camera is missing, an image cannot be read, or the disk is too small.
    """
    for episode in episodes:
        if not episode.prompt:
            raise EpisodesError(f"the task must be known, got no words for it in {episode.source}; set --prompt")
    starts = [seen_starts(episode, stride=stride) for episode in episodes]
    readers = [_find_cameras(episode, config) for episode in episodes]
    chunks = [chunks_at(episode, at, config.model.action_horizon) for episode, at in zip(episodes, starts, strict=True)]
    numbers = np.repeat(np.arange(len(episodes), dtype=np.int32), [len(at) for at in starts])
    image_mask = np.array([[read is not None for read in cameras] for cameras in readers])[numbers]
    images = _map_images(image_mask, config.model.image_size, folder)
    for row, (number, step) in enumerate(zip(numbers, np.concatenate(starts), strict=True)):
        images[row] = _read_images(readers[number], int(step), size=config.model.image_size)
        on_chunk()
    return RecordedChunks(
        images=images,
        image_mask=image_mask,
        state=np.concatenate([state for state, _ in chunks]),
        actions=np.concatenate([actions for _, actions in chunks]),
        episodes=numbers,
        prompts=tuple(episode.prompt for episode in episodes),
    )


def _find_cameras(episode: Episode, config: TrainConfig) -> tuple[ReadImage | None, ...]:
    """Returns the function that reads each of the model's cameras in an episode, or None for an absent optional one.

    Raises:
        EpisodesError: where another camera is absent. The text names the cameras of the episode.
    """
    found: list[ReadImage | None] = []
    for key, name in zip(config.model.cameras, camera_names(config), strict=True):
        read = episode.cameras.get(name)
        if read is None and aloha.ROBOT_CAMERAS[key] not in config.robot.optional_cameras:
            found_names = ", ".join(sorted(episode.cameras)) or "none"
            raise EpisodesError(
                f"an episode must have the camera {name} for {key}, got {found_names} in {episode.source}; name "
                "the cameras by --episode_cameras, or allow it to be absent by --optional_cameras "
                f"{aloha.ROBOT_CAMERAS[key]}"
            )
        found.append(read)
    return tuple(found)


def _read_images(cameras: Sequence[ReadImage | None], step: int, *, size: int) -> np.ndarray:
    """Returns the images of a step as the policy sees them, uint8 [C, size, size, 3], with zeros for None."""
    images = np.zeros((len(cameras), size, size, 3), np.uint8)
    for index, read in enumerate(cameras):
        if read is not None:
            images[index] = resize_with_pad(read(step), size)
    return images


def _map_images(image_mask: np.ndarray, size: int, folder: pathlib.Path) -> np.ndarray:
    """Returns zeros uint8 [N, C, size, size, 3] in a file without a name. Masked images take no disk space."""
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = int(image_mask.sum()) * size * size * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise EpisodesError(
            f"the disk of {folder} must have {needed / _GIGABYTE:.1f} GB for images, got {free / _GIGABYTE:.1f} GB; "
            "raise --chunk_stride or choose another disk by --checkpoint_root"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=(*image_mask.shape, size, size, 3))
