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
        values = _leaves(table[name])
        told = None if values is None else _told(name, metadata)
        if told is None:
            continue
        found = pyarrow.compute.min_max(values).as_py()
        if (found["min"], found["max"]) != told:
            raise ValueError(
                f"{name} is from {found['min']} to {found['max']}, and was written as from {told[0]} to {told[1]}"
            )


def _told(name: str, metadata: parquet.FileMetaData) -> tuple[float, float] | None:
    """Returns the smallest and largest value that a file keeps of a column, or None where it keeps none.

    pyarrow ends the process where it takes statistics from the damaged metadata of a column. So only columns that were
    read are looked at, because reading finds most damage, and their types are compared before.

    Raises:
        ValueError: where a column has another type than the schema says.
    """
    lows, highs = [], []
    leaves = [index for index in range(metadata.num_columns) if _is_leaf(metadata.schema.column(index).path, name)]
    for group in range(metadata.num_row_groups):
        for index in leaves:
            column, declared = metadata.row_group(group).column(index), metadata.schema.column(index).physical_type
            if column.physical_type != declared:
                raise ValueError(f"{name} is {column.physical_type} in a group of rows and {declared} in the schema")
            kept = column.statistics
            if kept is None or not kept.has_min_max or not _is_finite(kept.min) or not _is_finite(kept.max):
                return None
            lows.append(kept.min)
            highs.append(kept.max)
    return (min(lows), max(highs)) if lows else None


def _is_leaf(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.list.", f"{name}.item"))


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
