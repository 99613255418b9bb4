"""Compares columns of a Parquet file with the smallest and largest values that the file keeps of them.

Most files have no checksums, so this finds values that changed after they were written.
"""

from __future__ import annotations

import math

import pyarrow
import pyarrow.compute
from pyarrow import parquet


def check_statistics(table: pyarrow.Table, metadata: parquet.FileMetaData) -> None:
    """Checks the numbers of a table.

    Args:
        table: columns of a whole file.
        metadata: the metadata of the file.

    Raises:
        ValueError: where a column has another smallest or largest value than the file says.
    """
    for name in table.column_names:
        told = _told(name, metadata)
        values = _leaves(table[name])
        if told is None or values is None:
            continue
        found = pyarrow.compute.min_max(values).as_py()
        if (found["min"], found["max"]) != told:
            raise ValueError(
                f"{name} is from {found['min']} to {found['max']}, and was written as from {told[0]} to {told[1]}"
            )


def _told(name: str, metadata: parquet.FileMetaData) -> tuple[float, float] | None:
    """Returns the smallest and largest value that a file keeps of a column, or None where it keeps none."""
    lows, highs = [], []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            if column.path_in_schema != name and not column.path_in_schema.startswith(
                (f"{name}.list.", f"{name}.item")
            ):
                continue
            kept = column.statistics
            if kept is None or not kept.has_min_max or not _is_finite(kept.min) or not _is_finite(kept.max):
                return None
            lows.append(kept.min)
            highs.append(kept.max)
    return (min(lows), max(highs)) if lows else None


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _leaves(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray | None:
    """Returns the numbers in a column, or None where it holds something else, or NaN."""
    types = pyarrow.types
    while types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
        column = pyarrow.compute.list_flatten(column)
    if types.is_integer(column.type):
        return column
    if not types.is_floating(column.type) or types.is_float16(column.type):
        return None
    return None if pyarrow.compute.any(pyarrow.compute.is_nan(column)).as_py() else column
