"""Reads episodes from LeRobot datasets of version 3, whose folders hold many episodes as Parquet files and videos.

A folder has `meta/info.json` (codebase_version, fps, features, video_path), `meta/tasks.parquet` (task_index, and the
task as index) and `data/chunk-*/file-*.parquet` with one row for each step. For videos it has
`meta/episodes/chunk-*/file-*.parquet`, which gives the video file and the time at which each episode begins. Images are
frames of videos, or PNG and JPEG files in the rows.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, ReadImage
from chunk_ppo_ros.data.image_file import decode_file
from chunk_ppo_ros.data.video import open_video

INFO = "meta/info.json"
"""The file that makes a folder a LeRobot dataset."""

_VERSION = "v3"
_TASKS = "meta/tasks.parquet"
_EPISODES = "meta/episodes"
_PARTS = "chunk-*/file-*.parquet"
_PREFIXES = ("observation.images.", "observation.")
_COLUMNS = ("observation.state", "action", "episode_index", "task_index")
_SUCCESS = "next.success"


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Holds the T rows of all data files, in order.

    Attributes:
        columns: the columns by name, float32 [T, S] or [T, D], or int64 [T].
        files: the data files.
        first: int [files + 1], the number of the first row of each file, and at the end the number of all rows.
    """

    columns: dict[str, np.ndarray]
    files: list[pathlib.Path]
    first: np.ndarray

    def read_image(self, feature: str, row: int) -> np.ndarray:
        """Returns the image uint8 [h, w, 3] of an image feature in a row."""
        file = int(np.searchsorted(self.first, row, side="right")) - 1
        where = f"{feature}, row {row - self.first[file]} of {self.files[file]}"
        return decode_file(_read_cell(self.files[file], feature, int(row - self.first[file])), where)


class LeRobotReader:
    """Reads a dataset, as an `EpisodeReader`."""

    description = f"a LeRobot dataset ({INFO})"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a folder that has the file `INFO`."""
        return (path / INFO).is_file()

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
        """Yields the episodes of a dataset, as `read_lerobot` does."""
        return read_lerobot(path, prompt=config.run.prompt)


def read_lerobot(folder: pathlib.Path, *, prompt: str = "") -> Iterator[Episode]:
    """Yields the episodes of a dataset, in order.

    Args:
        folder: the folder of the dataset.
        prompt: the prompt that replaces the tasks' own where it is not empty.

    Raises:
        EpisodesError: for a dataset of another version, or where files or columns are missing or damaged.
    """
    try:
        info = json.loads((folder / INFO).read_text())
        version, rate, features = info["codebase_version"], float(info["fps"]), info["features"]
        if not str(version).startswith(_VERSION):
            raise EpisodesError(
                f"LeRobot dataset must be of version {_VERSION}, got {version} in {folder}; convert it with LeRobot"
            )
        tasks = {} if prompt else _read_tasks(folder / _TASKS)
        rows = _read_rows(folder, features)
        videos = _read_videos(folder, info)
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise EpisodesError(f"LeRobot dataset must be whole, got {folder}: {error!r}; download it again") from error
    columns = rows.columns
    for number in np.unique(columns["episode_index"]):
        steps = np.flatnonzero(columns["episode_index"] == number)
        cameras: dict[str, ReadImage] = {
            camera: functools.partial(_read_frame, *videos[int(number)][camera], rate)
            for camera in videos.get(number, ())
        }
        for feature in _features_of(features, "image"):
            cameras[_camera(feature)] = functools.partial(_read_row, rows, feature, int(steps[0]))
        yield Episode(
            source=f"{folder}, episode {number}",
            states=columns["observation.state"][steps],
            actions=columns["action"][steps],
            rate=rate,
            prompt=prompt or tasks.get(int(columns["task_index"][steps[0]]), ""),
            success=bool(columns[_SUCCESS][steps].any()) if _SUCCESS in columns else None,
            cameras=cameras,
        )


def _features_of(features: dict[str, Any], kind: str) -> list[str]:
    return [name for name, feature in features.items() if feature.get("dtype") == kind]


def _camera(feature: str) -> str:
    """Returns the name of a feature's camera, for example "cam_high" for "observation.images.cam_high"."""
    for prefix in _PREFIXES:
        if feature.startswith(prefix):
            return feature.removeprefix(prefix)
    return feature


def _read_tasks(path: pathlib.Path) -> dict[int, str]:
    """Returns the prompts by number. Datasets name the column of the prompt `__index_level_0__` or `task`."""
    table = parquet.read_table(path).to_pydict()
    numbers = table.pop("task_index")
    (texts,) = table.values()
    return dict(zip(numbers, texts, strict=True))


def _read_rows(folder: pathlib.Path, features: dict[str, Any]) -> _Rows:
    missing = [name for name in _COLUMNS if name not in features]
    if missing:
        raise EpisodesError(
            f"LeRobot dataset must have {', '.join(_COLUMNS)}, got {', '.join(features)} in {folder}; "
            "record the missing ones too"
        )
    files = sorted((folder / "data").glob(_PARTS))
    if not files:
        raise EpisodesError(f"LeRobot dataset must have data/{_PARTS}, got none in {folder}; download it again")
    names = [*_COLUMNS, *([_SUCCESS] if _SUCCESS in features else [])]
    tables = [parquet.read_table(file, columns=names) for file in files]
    table = pyarrow.concat_tables(tables)
    columns = {name: _to_array(table[name].combine_chunks()) for name in names}
    return _Rows(columns, files, np.cumsum([0, *(len(each) for each in tables)]))


def _to_array(column: pyarrow.Array) -> np.ndarray:
    """Returns a column as an array: numbers and bools as int64 [T], lists of n numbers as float32 [T, n].

    Datasets store a list of one bool as a bool.
    """
    if not hasattr(column, "flatten"):
        return column.to_numpy(zero_copy_only=False).astype(np.int64)
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), -1)


def _read_videos(folder: pathlib.Path, info: dict[str, Any]) -> dict[int, dict[str, tuple[pathlib.Path, float]]]:
    """Returns the video of each episode and camera, with the time in it at which the episode begins, s."""
    features = _features_of(info["features"], "video")
    if not features:
        return {}
    parts = sorted((folder / _EPISODES).glob(_PARTS))
    if not parts:
        raise EpisodesError(
            f"LeRobot dataset with videos must have {_EPISODES}/{_PARTS}, got none in {folder}; download it again"
        )
    fields = ("chunk_index", "file_index", "from_timestamp")
    names = ["episode_index", *(f"videos/{feature}/{field}" for feature in features for field in fields)]
    table = pyarrow.concat_tables([parquet.read_table(part, columns=names) for part in parts]).to_pylist()
    found: dict[int, dict[str, tuple[pathlib.Path, float]]] = {}
    for row in table:
        for feature in features:
            chunk, file, begin = (row[f"videos/{feature}/{field}"] for field in fields)
            path = folder / info["video_path"].format(video_key=feature, chunk_index=chunk, file_index=file)
            found.setdefault(row["episode_index"], {})[_camera(feature)] = (path, begin)
    return found


def _read_frame(video: pathlib.Path, begin: float, rate: float, step: int) -> np.ndarray:
    return open_video(video).frame_at(begin + step / rate, tolerance=0.5 / rate)


def _read_row(rows: _Rows, feature: str, first: int, step: int) -> np.ndarray:
    return rows.read_image(feature, first + step)


def _read_cell(file: pathlib.Path, column: str, row: int) -> bytes:
    """Returns the image file in a row. Only the group of that row is read from the data file."""
    try:
        metadata = parquet.read_metadata(file)
        first = np.cumsum([0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))])
        group = int(np.searchsorted(first, row, side="right")) - 1
        content = _read_group(file, column, group)[int(row - first[group])].as_py()
    except (OSError, pyarrow.ArrowException) as error:
        raise EpisodesError(f"LeRobot dataset must be whole, got {file}: {error!r}; download it again") from error
    if not content or not content["bytes"]:
        raise EpisodesError(f"images must be in the Parquet files, got none in {column}, row {row} of {file}; add them")
    return bytes(content["bytes"])


@functools.lru_cache(maxsize=4)
def _read_group(file: pathlib.Path, column: str, group: int) -> pyarrow.ChunkedArray:
    """Returns one column of a row group. The last few are kept, because rows are read one after the other."""
    return parquet.ParquetFile(file).read_row_group(group, columns=[column])[column]
