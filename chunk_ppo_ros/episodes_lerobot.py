"""Episodes in LeRobot datasets of version 3: many episodes a folder, as Parquet files.

`meta/info.json` (codebase_version, fps, features), `meta/tasks.parquet` (task_index, and the task as index) and
`data/chunk-*/file-*.parquet` with a row a step. Images are in videos, which are not read.
"""

from __future__ import annotations

import functools
import json
import pathlib
from typing import Any, NoReturn

import numpy as np
import pyarrow
from pyarrow import parquet

from chunk_ppo_ros.episode import Episode
from chunk_ppo_ros.errors import EpisodesError

INFO = "meta/info.json"

_VERSION = "v3"
_TASKS = "meta/tasks.parquet"
_IMAGE_PREFIX = "observation.images."
_COLUMNS = ("observation.state", "action", "episode_index", "task_index")


def read_lerobot(folder: pathlib.Path, *, prompt: str = "") -> list[Episode]:
    """The episodes of a dataset, in order.

    Args:
        folder: the dataset's.
        prompt: replaces the tasks' own, where not empty.

    Raises:
        EpisodesError: for another version, or where files or columns are missing or damaged.
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
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise EpisodesError(f"LeRobot dataset must be whole, got {folder}: {error!r}; download it again") from error
    numbers = rows["episode_index"]
    names = [key for key in features if key.startswith(_IMAGE_PREFIX)]
    episodes = []
    for number in np.unique(numbers):
        steps = np.flatnonzero(numbers == number)
        source = f"{folder}, episode {number}"
        cameras = {name.removeprefix(_IMAGE_PREFIX): functools.partial(_refuse_image, source, name) for name in names}
        task = prompt or tasks.get(int(rows["task_index"][steps[0]]), "")
        episodes.append(Episode(source, rows["observation.state"][steps], rows["action"][steps], rate, task, cameras))
    return episodes


def _read_tasks(path: pathlib.Path) -> dict[int, str]:
    """Prompts by number. The column of the task itself has been `__index_level_0__` and `task`."""
    table = parquet.read_table(path).to_pydict()
    numbers = table.pop("task_index")
    (texts,) = table.values()
    return dict(zip(numbers, texts, strict=True))


def _read_rows(folder: pathlib.Path, features: dict[str, Any]) -> dict[str, np.ndarray]:
    """The columns of all data files, in order: float32 [T, S] and [T, D], int64 [T]."""
    missing = [name for name in _COLUMNS if name not in features]
    if missing:
        raise EpisodesError(f"LeRobot dataset must have {', '.join(_COLUMNS)}, got {', '.join(features)} in {folder}")
    files = sorted((folder / "data").glob("chunk-*/file-*.parquet"))
    if not files:
        raise EpisodesError(f"LeRobot dataset must have data/chunk-*/file-*.parquet, got none in {folder}")
    table = pyarrow.concat_tables([parquet.read_table(file, columns=list(_COLUMNS)) for file in files])
    return {name: _to_array(table[name].combine_chunks()) for name in _COLUMNS}


def _to_array(column: pyarrow.Array) -> np.ndarray:
    """int64 [T] of numbers, float32 [T, n] of lists of n numbers each."""
    if not hasattr(column, "flatten"):
        return column.to_numpy(zero_copy_only=False).astype(np.int64)
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), -1)


def _refuse_image(source: str, name: str, step: int) -> NoReturn:
    raise EpisodesError(
        f"images of LeRobot datasets cannot be read in this version, got {name} of {source}, step {step}; take HDF5"
    )
