"""Writes the files in meta/: info.json, stats.json, the tasks and the table of episodes."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence

import pyarrow
from pyarrow import parquet

from chunk_ppo_ros.data.lerobot.info import INFO
from chunk_ppo_ros.data.lerobot.tasks import TASK_INDEX, TASKS
from chunk_ppo_ros.data.lerobot.writing.file_places import CHUNK_SIZE, DATA_PATH, EPISODES_PATH, VIDEO_PATH, FilePlace
from chunk_ppo_ros.data.lerobot.writing.form import DatasetForm, features_of
from chunk_ppo_ros.data.lerobot.writing.statistics import Statistics

VERSION, ROBOT = "v3.0", "aloha"
DATA_MIB, VIDEO_MIB = 100, 200
"""The lengths from which on a new file is begun, MiB, as LeRobot has them."""
STATS = "meta/stats.json"


def write_metadata(
    folder: pathlib.Path,
    form: DatasetForm,
    *,
    episodes: Sequence[Mapping[str, object]],
    tasks: Sequence[str],
    num_steps: int,
    statistics: Mapping[str, Statistics],
) -> None:
    """Writes all files in meta/. info.json is the last, so that a folder that was cut off is no dataset.

    Args:
        folder: the folder of the dataset.
        form: what the dataset has.
        episodes: the rows of the table of episodes.
        tasks: the tasks, by their numbers.
        num_steps: the number of steps of all episodes.
        statistics: the statistics of the features.
    """
    info = {
        "codebase_version": VERSION,
        "robot_type": ROBOT,
        "total_episodes": len(episodes),
        "total_frames": num_steps,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK_SIZE,
        "data_files_size_in_mb": DATA_MIB,
        "video_files_size_in_mb": VIDEO_MIB,
        "fps": form.rate,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if form.has_videos else None,
        "features": features_of(form),
    }
    table = pyarrow.Table.from_pylist([{**row, **FilePlace().columns("meta/episodes")} for row in episodes])
    _write(folder / FilePlace().path(EPISODES_PATH), table)
    _write(folder / TASKS, _tasks_table(tasks))
    (folder / STATS).write_text(json.dumps(statistics, indent=1), encoding="utf-8")
    (folder / INFO).write_text(json.dumps(info, indent=2), encoding="utf-8")


def _write(path: pathlib.Path, table: pyarrow.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def _tasks_table(tasks: Sequence[str]) -> pyarrow.Table:
    """Returns the tasks as pandas writes them with the texts as index, which is where LeRobot looks for them."""
    table = pyarrow.table({TASK_INDEX: pyarrow.array(range(len(tasks)), pyarrow.int64()), "task": list(tasks)})
    kinds = {TASK_INDEX: ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_kind, "metadata": None}
        for name, (kind, numpy_kind) in kinds.items()
    ]
    index = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    described = {
        "index_columns": ["task"],
        "column_indexes": [{**index, "metadata": {"encoding": "UTF-8"}}],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pyarrow.__version__},
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(described)})
