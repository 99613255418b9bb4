"""Reads columns of Parquet files, and says in one sentence which file is damaged or lacks a column."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow
from pyarrow import parquet

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.lerobot.parquet_files.statistics import check_statistics

DAMAGE = (
    pyarrow.ArrowException,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)
"""What pyarrow raises for files that are cut short or changed, besides its own errors."""


def damaged(path: pathlib.Path, error: BaseException) -> EpisodesError:
    """Returns the error for a file that cannot be read."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return EpisodesError(f"LeRobot dataset must be whole, got {path}, which cannot be read: {text}; download it again")


def read_columns(path: pathlib.Path, names: Sequence[str]) -> pyarrow.Table:
    """Returns columns of a file. Checksums of pages are verified where the file has them.

    Args:
        path: the file.
        names: the names of the columns.

    Raises:
        EpisodesError: where the file is damaged or lacks a column.
    """
    present = column_types(path)
    missing = [name for name in names if name not in present]
    if missing:
        raise EpisodesError(
            f"{path} must have the columns {', '.join(names)}, got {', '.join(present)}; add {', '.join(missing)}"
        )
    try:
        return _columns(path, *_stamp(path), tuple(names))
    except DAMAGE as error:
        raise damaged(path, error) from error


def column_types(path: pathlib.Path) -> dict[str, pyarrow.DataType]:
    """Returns the types of a file's columns by name.

    Raises:
        EpisodesError: where the file is damaged.
    """
    try:
        return {field.name: field.type for field in _opened(path, *_stamp(path)).schema_arrow}
    except DAMAGE as error:
        raise damaged(path, error) from error


def index_column(path: pathlib.Path) -> str:
    """Returns the column that pandas used as the index of a table, or an empty text where none is told."""
    try:
        metadata = _opened(path, *_stamp(path)).schema_arrow.metadata or {}
        columns: list[Any] = json.loads(metadata.get(b"pandas", b"{}")).get("index_columns", [])
    except DAMAGE as error:
        raise damaged(path, error) from error
    return next((column for column in columns if isinstance(column, str)), "")


def read_cell(path: pathlib.Path, column: str, row: int) -> Any:
    """Returns one value of a file. Only the group of its row is read.

    Raises:
        EpisodesError: where the file is damaged.
    """
    try:
        stamp = _stamp(path)
        metadata = _opened(path, *stamp).metadata
        for group in range(metadata.num_row_groups):
            length = metadata.row_group(group).num_rows
            if row < length:
                return _group(path, *stamp, column, group)[row].as_py()
            row -= length
    except DAMAGE as error:
        raise damaged(path, error) from error
    raise EpisodesError(f"{path} must have all rows that were counted, got {row} too few; download it again")


def forget_files() -> None:
    """Closes the files that are kept open. It is called before a dataset is read, which may have changed since."""
    for kept in (_opened, _columns, _group):
        kept.cache_clear()


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    """Returns when a file was last changed and its size, so that a changed file is opened anew."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=4)
def _opened(path: pathlib.Path, _changed: int, _size: int) -> parquet.ParquetFile:
    return parquet.ParquetFile(path, page_checksum_verification=True)


@functools.lru_cache(maxsize=2)
def _columns(path: pathlib.Path, changed: int, size: int, names: tuple[str, ...]) -> pyarrow.Table:
    """Returns whole columns. The last ones are kept, because a file holds several episodes."""
    file = _opened(path, changed, size)
    table = file.read(columns=list(names)).select(list(names))
    table.validate(full=True)
    check_statistics(table, file.metadata)
    return table


@functools.lru_cache(maxsize=4)
def _group(path: pathlib.Path, changed: int, size: int, column: str, group: int) -> pyarrow.ChunkedArray:
    """Returns one column of a row group. The last few are kept, because rows are read one after the other."""
    return _opened(path, changed, size).read_row_group(group, columns=[column])[column]
