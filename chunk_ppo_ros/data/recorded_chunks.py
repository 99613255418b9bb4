"""Recorded episodes as chunks to learn from: what the policy would have seen at each start, and what was done then.

Images are read and fitted to the model one after the other, into a file that is mapped into memory: an hour of three
cameras does not fit there otherwise. The file has no name and is gone with the array that maps it.
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
    """Chunks of recorded episodes, N over all E episodes in order.

    Attributes:
        images: uint8 [N, C, h, w, 3], at the start of each chunk, a mapped file; zeros where masked.
        image_mask: bool [N, C].
        state: float32 [N, S], rad, grippers normalized.
        actions: float32 [N, H, D], absolute joint targets; the last one repeated beyond the end of the episode.
        episodes: int32 [N], number of each chunk's episode, 0..E-1.
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
        episodes: at least one, all of the same dimensions.
        config: the model's horizon, cameras and image size, `pretrain.episode_cameras`, `robot.optional_cameras`.
        folder: on whose disk the images are kept meanwhile; made if missing.
        stride: least control steps from the start of one chunk to that of the next, > 0.
        on_chunk: called after the images of each chunk.

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
    """Returns what reads each of the model's cameras in an episode; None for one that is absent and optional.

    Raises:
        EpisodesError: where another one is absent, with the names of those that are there.
    """
    found: list[ReadImage | None] = []
    for key, name in zip(config.model.cameras, camera_names(config), strict=True):
        read = episode.cameras.get(name)
        if read is None and aloha.ROBOT_CAMERAS.get(key, key) not in config.robot.optional_cameras:
            there = ", ".join(sorted(episode.cameras)) or "none"
            raise EpisodesError(
                f"an episode must have the camera {name} for {key}, got {there} in {episode.source}; name the cameras "
                f"by --episode_cameras, or allow it to be absent by --optional_cameras "
                f"{aloha.ROBOT_CAMERAS.get(key, key)}"
            )
        found.append(read)
    return tuple(found)


def _read_images(cameras: Sequence[ReadImage | None], step: int, *, size: int) -> np.ndarray:
    """Returns uint8 [C, size, size, 3], the images of a step as the policy sees them; zeros for None."""
    images = np.zeros((len(cameras), size, size, 3), np.uint8)
    for index, read in enumerate(cameras):
        if read is not None:
            images[index] = resize_with_pad(read(step), size)
    return images


def _map_images(image_mask: np.ndarray, size: int, folder: pathlib.Path) -> np.ndarray:
    """Returns uint8 [N, C, size, size, 3] of zeros in a file without a name; masked images take no disk space."""
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = int(image_mask.sum()) * size * size * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise EpisodesError(
            f"the disk of {folder} must have {needed / _GIGABYTE:.1f} GB for images, got {free / _GIGABYTE:.1f} GB; "
            "raise --chunk_stride or choose another disk by --checkpoint_root"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=(*image_mask.shape, size, size, 3))
