"""Makes the rows of an episode, one for each step, and writes them into Parquet files."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.lerobot.success import ROW_SUCCESS
from chunk_ppo_ros.data.lerobot.writing.file_places import DATA_PATH, FilePlace
from chunk_ppo_ros.data.lerobot.writing.form import ACTION, DONE, MEASURED, REWARD, STATE, DatasetForm

_PICTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def number_columns(
    episode: Episode, form: DatasetForm, *, number: int, first_index: int, task_index: int
) -> dict[str, np.ndarray]:
    """Returns the columns of an episode's rows that hold numbers, each with T rows.

    Args:
        episode: the episode of T steps.
        form: what the dataset has.
        number: the number of the episode.
        first_index: the number of its first step among all steps of the dataset.
        task_index: the number of its task.
    """
    length = len(episode)
    steps, is_last = np.arange(length), np.arange(length) == length - 1
    columns = {STATE: episode.states, ACTION: episode.actions}
    if form.has_unmeasured:
        all_steps = steps if episode.image_steps is None else episode.image_steps
        columns[MEASURED] = np.isin(steps, all_steps)
    if form.has_rewards and episode.rewards is not None:
        columns[REWARD] = episode.rewards
    if form.has_success:
        columns[ROW_SUCCESS] = is_last & bool(episode.success)
    books = {
        "timestamp": (steps / form.rate).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(length, number),
        "index": first_index + steps,
        "task_index": np.full(length, task_index),
    }
    return {**columns, DONE: is_last, **books}


def to_table(columns: Mapping[str, np.ndarray], images: Mapping[str, Sequence[bytes]]) -> pyarrow.Table:
    """Returns the rows of an episode as a table.

    Args:
        columns: the numbers, as `number_columns` returns them.
        images: the PNG files of the steps, by the names of features.
    """
    arrays = {name: _array(values) for name, values in columns.items()}
    for name, files in images.items():
        arrays[name] = pyarrow.array([{"bytes": file, "path": None} for file in files], _PICTURE)
    return pyarrow.table(arrays)


def _array(values: np.ndarray) -> pyarrow.Array:
    if values.ndim == 1:
        return pyarrow.array(values)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.astype(np.float32).ravel()), values.shape[1])


def to_png(image: np.ndarray) -> bytes:
    """Returns an image, uint8 [h, w, 3], as a PNG file."""
    Image.fromarray(np.ascontiguousarray(image)).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


class RowFiles:
    """The Parquet files of the rows.

    Args:
        folder: the folder of the dataset.
        max_bytes: the length from which on the next episode begins a new file, bytes.
    """

    def __init__(self, folder: pathlib.Path, *, max_bytes: int) -> None:
        self._pattern, self._max_bytes = f"{folder}/{DATA_PATH}", max_bytes
        self._place = FilePlace()
        self._writer: parquet.ParquetWriter | None = None

    def add(self, rows: pyarrow.Table) -> FilePlace:
        """Writes the rows of an episode, and returns the file that they are in."""
        if self._writer is not None and self._place.path(self._pattern).stat().st_size > self._max_bytes:
            self.close()
            self._place = self._place.next()
        if self._writer is None:
            path = self._place.path(self._pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(path, rows.schema)
        self._writer.write_table(rows)
        return self._place

    def close(self) -> None:
        """Ends the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
