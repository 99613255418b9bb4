"""Writes episodes as a LeRobot dataset of version 3, which LeRobot's own loader opens, and `reader.py` too."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.units import MEBIBYTE
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.lerobot.writing import metadata
from chunk_ppo_ros.data.lerobot.writing.file_places import VIDEO_PATH
from chunk_ppo_ros.data.lerobot.writing.form import CAMERA_PREFIX, DatasetForm, image_step
from chunk_ppo_ros.data.lerobot.writing.rows import RowFiles, number_columns, to_png, to_table
from chunk_ppo_ros.data.lerobot.writing.statistics import ImageStatistics, Statistics, statistics_of
from chunk_ppo_ros.data.lerobot.writing.video_files import VideoFiles


def write_dataset(
    folder: pathlib.Path,
    episodes: Sequence[Episode],
    form: DatasetForm,
    *,
    data_bytes: int = metadata.DATA_MIB * MEBIBYTE,
    video_bytes: int = metadata.VIDEO_MIB * MEBIBYTE,
    on_episode: Callable[[], object] = lambda: None,
) -> None:
    """Writes a dataset.

    Args:
        folder: the folder of the dataset, which is empty or missing.
        episodes: the episodes.
        form: what they have in common, as `form_of` returns it.
        data_bytes: the length from which on a new file of rows is begun, bytes.
        video_bytes: the same for videos.
        on_episode: is called after each episode.

    Raises:
        EpisodesError: where an image cannot be read, or has another size than the first one of its camera.
        OSError: where a file cannot be written.
    """
    writer = _DatasetWriter(folder, form, data_bytes=data_bytes, video_bytes=video_bytes)
    try:
        for episode in episodes:
            writer.add(episode)
            on_episode()
    finally:
        writer.close()
    writer.write_metadata()


class _DatasetWriter:
    """Writes one episode after the other."""

    def __init__(self, folder: pathlib.Path, form: DatasetForm, *, data_bytes: int, video_bytes: int) -> None:
        self._folder, self._form = folder, form
        self._rows = RowFiles(folder, max_bytes=data_bytes)
        self._videos = {
            camera: VideoFiles(
                f"{folder}/" + VIDEO_PATH.replace("{video_key}", CAMERA_PREFIX + camera),
                codec=form.image_format,
                rate=form.rate,
                shape=shape,
                max_bytes=video_bytes,
            )
            for camera, shape in (form.cameras.items() if form.has_videos else ())
        }
        self._columns: list[dict[str, np.ndarray]] = []
        self._image_statistics = {camera: ImageStatistics() for camera in form.cameras}
        self._entries: list[dict[str, object]] = []
        self._tasks: dict[str, int] = {}
        self._num_steps = 0

    def add(self, episode: Episode) -> None:
        task_index = self._tasks.setdefault(episode.prompt, len(self._tasks))
        number, first = len(self._entries), self._num_steps
        columns = number_columns(episode, self._form, number=number, first_index=first, task_index=task_index)
        entry: dict[str, object] = {"episode_index": number, "tasks": [episode.prompt], "length": len(episode)}
        entry |= {"dataset_from_index": first, "dataset_to_index": first + len(episode)}
        if self._form.has_success:
            entry["success"] = episode.success
        pictures: dict[str, list[bytes]] = {}
        for camera in self._form.cameras:
            if self._form.has_videos:
                entry |= self._add_video(episode, camera)
            else:
                pictures[CAMERA_PREFIX + camera] = self._pngs(episode, camera)
        entry |= self._rows.add(to_table(columns, pictures)).columns("data")
        self._columns.append(columns)
        self._entries.append(entry)
        self._num_steps += len(episode)

    def _add_video(self, episode: Episode, camera: str) -> dict[str, object]:
        """Adds the images of a camera to its video, and returns the place as columns of the table of episodes."""
        video, prefix = self._videos[camera], f"videos/{CAMERA_PREFIX}{camera}"
        place, begin = video.begin_episode()
        for image, times in self._images(episode, camera):
            for _ in range(times):
                video.add(image)
        times_in_video = {"from_timestamp": begin, "to_timestamp": begin + len(episode) / self._form.rate}
        return place.columns(prefix) | {f"{prefix}/{key}": value for key, value in times_in_video.items()}

    def _pngs(self, episode: Episode, camera: str) -> list[bytes]:
        return [file for image, times in self._images(episode, camera) for file in [to_png(image)] * times]

    def _images(self, episode: Episode, camera: str) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the images of a camera in order, each with the number of steps that it stands for.

        Raises:
            EpisodesError: where an image has another size than the first one of its camera.
        """
        shape, steps = self._form.cameras[camera], [image_step(episode, step) for step in range(len(episode))]
        for step, times in collections.Counter(steps).items():
            image = episode.cameras[camera](step)
            if image.shape != shape:
                raise EpisodesError(
                    f"the images of {camera} must have one size, {list(shape)}, got {list(image.shape)} in step {step} "
                    f"of {episode.source}; leave the episode out by --leave_out_episodes"
                )
            self._image_statistics[camera].add(image, times)
            yield image, times

    def close(self) -> None:
        self._rows.close()
        for video in self._videos.values():
            video.close()

    def write_metadata(self) -> None:
        statistics: dict[str, Statistics] = {
            name: statistics_of(np.concatenate([columns[name] for columns in self._columns]))
            for name in self._columns[0]
        }
        for camera, found in self._image_statistics.items():
            statistics[CAMERA_PREFIX + camera] = found.result()
        metadata.write_metadata(
            self._folder,
            self._form,
            episodes=self._entries,
            tasks=list(self._tasks),
            num_steps=self._num_steps,
            statistics=statistics,
        )
