"""Reads episodes from LeRobot datasets, whose folders hold many episodes as Parquet files and videos.

A folder has `meta/info.json`, the tasks, a table of the episodes, and data files with one row for each step. Version 3
keeps many episodes in a file, version 2 one. Images are frames of videos, or PNG and JPEG files in the rows.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.conventions import actions_in_robot_units, states_in_robot_units
from chunk_ppo_ros.data.episode import Episode, LeftOut, ReadImage, RecordingFacts
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.data.lerobot.dimensions import Dimensions, decide_dimensions
from chunk_ppo_ros.data.lerobot.episode_table import EpisodeEntry, read_episode_table, undeclared_videos
from chunk_ppo_ros.data.lerobot.facts import facts_of
from chunk_ppo_ros.data.lerobot.features import IMAGE, Feature
from chunk_ppo_ros.data.lerobot.images import row_camera
from chunk_ppo_ros.data.lerobot.info import INFO, DatasetInfo, read_info
from chunk_ppo_ros.data.lerobot.parquet_files.columns import check_type, vectors
from chunk_ppo_ros.data.lerobot.parquet_files.files import forget_files, read_columns
from chunk_ppo_ros.data.lerobot.row_index import (
    FRAME_INDEX,
    TIMESTAMP,
    EpisodeRows,
    RowIndex,
    check_against_table,
    find_data_files,
    read_row_index,
)
from chunk_ppo_ros.data.lerobot.success import ROW_SUCCESS, agreed_success, success_of_rows
from chunk_ppo_ros.data.lerobot.tasks import TASK_INDEX, read_tasks, task_of
from chunk_ppo_ros.data.lerobot.timing import step_times
from chunk_ppo_ros.data.lerobot.videos import FrameCount, check_places, check_video, frames_by_video, video_camera
from chunk_ppo_ros.robot.grippers import GripperConvention, convention_of


class LeRobotReader:
    """Reads a dataset, as an `EpisodeReader`."""

    description = f"a LeRobot dataset ({INFO})"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a folder that has the file `INFO`."""
        return (path / INFO).is_file()

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields the episodes of a dataset, in the order of their numbers.

        Raises:
            EpisodesError: where the dataset is of another version, or files or columns are missing, damaged or
                contradict each other.
            UnansweredQuestion: where only a person knows what is meant.
        """
        forget_files()
        dataset = _open(path, config.recordings, config.run.prompt)
        convention = convention_of(config.robot)
        for number in sorted({*dataset.index.counts(), *(dataset.entries or {})}):
            if is_left_out(dataset.source(number), config.recordings.leave_out_episodes):
                yield LeftOut(dataset.source(number), "it is named by --leave_out_episodes")
            else:
                yield dataset.episode(number, config, convention)


@dataclasses.dataclass(frozen=True)
class _Dataset:
    """An open dataset: what its files in meta/ say, and where its rows are."""

    info: DatasetInfo
    entries: Mapping[int, EpisodeEntry] | None
    index: RowIndex
    tasks: Mapping[int, str]
    video_frames: Mapping[tuple[str, pathlib.Path], FrameCount]

    def source(self, number: int) -> str:
        """Returns the name of an episode."""
        return f"{self.info.folder}, episode {number}"

    def episode(self, number: int, config: TrainConfig, convention: GripperConvention) -> Episode:
        """Returns an episode; `LeRobotReader.read` documents errors."""
        source, recordings = self.source(number), config.recordings
        rows = self.index.of_episode(number, source)
        entry = (self.entries or {}).get(number)
        states, actions = (self._vectors(rows, name) for name in (self.info.state, self.info.action))
        taken = decide_dimensions(self.info, (states.shape[1], actions.shape[1]), recordings)
        states, actions = _taken(states, taken.state), _taken(actions, taken.action)
        stamps = rows.values.get(TIMESTAMP)
        times = None if stamps is None else step_times(stamps, self.info.rate, rows, source)
        return Episode(
            source=source,
            states=states_in_robot_units(states, recordings, convention),
            actions=actions_in_robot_units(actions, recordings, convention),
            rate=self.info.rate,
            prompt=config.run.prompt or self._prompt(rows, source),
            success=_success(rows, entry, source),
            cameras=self._cameras(rows, entry, times, source),
            times=times,
            facts=self._facts(taken, times, config),
        )

    def _vectors(self, rows: EpisodeRows, name: str) -> np.ndarray:
        """Returns the states or actions of an episode, float32 [T, n], as recorded."""
        parts: dict[int, np.ndarray] = {}
        for file in dict.fromkeys(rows.file.tolist()):
            path, taken = rows.files[file], rows.row[rows.file == file]
            column = read_columns(path, (self.info.state, self.info.action))[name]
            feature = self.info.features[name]
            check_type(column.type, feature.dtype, name, path)
            parts[file] = vectors(column, taken, name, feature.size, path)
        if len({part.shape[1] for part in parts.values()}) > 1:
            lengths = " and ".join(f"{part.shape[1]} in {rows.files[file]}" for file, part in parts.items())
            raise EpisodesError(f"{name} must have as many numbers in each row, got {lengths}; correct them")
        values = np.empty((len(rows), next(iter(parts.values())).shape[1]), np.float32)
        for file, part in parts.items():
            values[rows.file == file] = part
        return values

    def _prompt(self, rows: EpisodeRows, source: str) -> str:
        return task_of(rows.values[TASK_INDEX], self.tasks, source) if TASK_INDEX in rows.values else ""

    def _cameras(
        self, rows: EpisodeRows, entry: EpisodeEntry | None, times: np.ndarray | None, source: str
    ) -> dict[str, ReadImage]:
        cameras: dict[str, ReadImage] = {}
        at = _frame_times(times, len(rows), self.info.rate)
        for name, place in (entry.videos if entry else {}).items():
            feature = self.info.features[name]
            check_video(self.info, feature, place, self.video_frames[name, place.path], len(rows), source)
            cameras[feature.camera] = video_camera(feature, place, at, 0.5 / self.info.rate)
        for feature in self.info.features.values():
            if feature.dtype == IMAGE and not feature.is_depth:
                cameras[feature.camera] = row_camera(feature, rows)
        return cameras

    def _facts(self, taken: Dimensions, times: np.ndarray | None, config: TrainConfig) -> RecordingFacts:
        assumed = []
        if times is None:
            why = "are too coarse to tell steps apart" if TIMESTAMP in self.index.values else "are missing"
            assumed.append(f"time stamps {why}, so steps are {1 / self.info.rate:.4g} s apart")
        if FRAME_INDEX not in self.index.values:
            assumed.append("the rows have no frame_index, so steps are in the order of the rows")
        if self.entries is None:
            assumed.append("the dataset has no table of episodes (meta/episodes), so the rows alone tell the episodes")
        undeclared = [*self.index.other_columns, *undeclared_videos(self.info)]
        return facts_of(self.info, taken, undeclared, assumed, config)


def _open(folder: pathlib.Path, recordings: RecordingsConfig, prompt: str) -> _Dataset:
    info = read_info(folder)
    _check_cameras(info)

    def left_out(number: int) -> bool:
        return is_left_out(f"{folder}, episode {number}", recordings.leave_out_episodes)

    entries = read_episode_table(info, left_out)
    used = {number: entry for number, entry in (entries or {}).items() if not left_out(number)}
    unread = {entry.data_file for number, entry in (entries or {}).items() if left_out(number)}
    kept = entries if entries is None else used
    files = find_data_files(info, kept)
    if info.file_per_episode:
        files = [file for file in files if file not in unread]
    index = read_row_index(info, files, entries)
    check_against_table(info, index.counts(), entries, left_out)
    check_places(info, used)
    tasks = {} if prompt or TASK_INDEX not in info.features else read_tasks(info)
    return _Dataset(info, entries, index, tasks, frames_by_video(info, entries or {}))


def _check_cameras(info: DatasetInfo) -> None:
    """Refuses two features of one camera."""
    features: dict[str, Feature] = {}
    for feature in info.features.values():
        if feature.is_camera and not feature.is_depth:
            other = features.setdefault(feature.camera, feature)
            if other is not feature:
                raise EpisodesError(
                    f"cameras must have different names, got {other.name} and {feature.name} in {info.path}; take one "
                    "of them out of the features there"
                )


def _taken(values: np.ndarray, columns: np.ndarray | None) -> np.ndarray:
    return values if columns is None else values[:, columns]


def _frame_times(times: np.ndarray | None, length: int, rate: float) -> np.ndarray:
    """Returns the times of the steps from the start of the episode at which frames are sought, s, float64 [T].

    They are those of the declared rate, unless the recorded times are elsewhere by half a step or more.
    """
    regular = np.arange(length) / rate
    if times is None or np.all(np.abs(times - times[0] - regular) < 0.5 / rate):
        return regular
    return times - times[0]


def _success(rows: EpisodeRows, entry: EpisodeEntry | None, source: str) -> bool | None:
    of_rows = success_of_rows(rows.values[ROW_SUCCESS], source) if ROW_SUCCESS in rows.values else None
    return agreed_success(of_rows, entry.success if entry else None, source)
