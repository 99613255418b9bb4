"""Turns columns of Parquet files into arrays, and names the row, column and file of a value that cannot be used."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow
import pyarrow.compute

from chunk_ppo_ros.core.errors import EpisodesError


def numbers(column: pyarrow.ChunkedArray, name: str, path: pathlib.Path) -> np.ndarray:
    """Returns a column of one number or bool in each row as float64 [T]. Rows without a value are NaN.

    Lists of one value count as that value.

    Args:
        column: the column.
        name: its name, for error texts.
        path: its file, for error texts.

    Raises:
        EpisodesError: where the column holds something else.
    """
    array = _combined(column)
    if _is_list(array.type):
        lengths = pyarrow.compute.list_value_length(array)
        other = np.flatnonzero(lengths.fill_null(1).to_numpy(zero_copy_only=False) != 1)
        if other.size:
            raise _unusable(name, "a single number", f"{lengths[int(other[0])]} values", int(other[0]), path)
        array = pyarrow.compute.list_element(array, 0)
    if pyarrow.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if pyarrow.types.is_boolean(array.type):
        array = array.cast(pyarrow.int8())
    if not _is_number(array.type):
        raise EpisodesError(f"{name} must be numbers, got {array.type} in {path}; correct the column")
    return array.cast(pyarrow.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)


_KINDS = {"int": pyarrow.types.is_integer, "uint": pyarrow.types.is_integer, "float": pyarrow.types.is_floating}
"""What the name of a declared type must begin with, and the check of the stored type."""


def check_type(stored: pyarrow.DataType, declared: str, name: str, path: pathlib.Path) -> None:
    """Compares the stored type of a column of lists with the declared one. Another number of bits is no difference.

    Args:
        stored: the type of the column.
        declared: the dtype in meta/info.json, for example "float32".
        name: the name of the column, for error texts.
        path: the file, for error texts.

    Raises:
        EpisodesError: where one is of whole numbers and the other is not, or the declared one is no type of numbers.
    """
    kind = stored.storage_type if isinstance(stored, pyarrow.ExtensionType) else stored
    while _is_list(kind):
        kind = kind.value_type
    check = _KINDS.get(declared.rstrip("0123456789"))
    if check is None or not (check(kind) or pyarrow.types.is_null(kind)):
        raise EpisodesError(
            f"{name} must be of the type that meta/info.json declares, {declared}, got {stored} in {path}; correct the "
            "dtype there (float32), or convert the column"
        )


def vectors(
    column: pyarrow.ChunkedArray, rows: np.ndarray, name: str, size: int | None, path: pathlib.Path
) -> np.ndarray:
    """Returns rows of a column with a list of numbers in each row, float32 [n, D].

    Args:
        column: the column.
        rows: int [n], the rows of the file that are taken.
        name: the name of the column, for error texts.
        size: the declared number D of values; None takes that of the first row.
        path: the file, for error texts.

    Raises:
        EpisodesError: where a row is missing, has another number of values, or a value that is not finite.
    """
    in_order = len(rows) > 0 and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows)))
    array = _combined(column.slice(int(rows[0]), len(rows)) if in_order else column.take(pyarrow.array(rows)))
    _check_present(array, rows, name, path)
    depth = 0
    counts = np.ones(len(array), np.int64)
    flat = array
    while _is_list(flat.type):
        counts = _lengths(flat, counts, rows, name, path)
        flat, depth = flat.flatten(), depth + 1
    if not _is_number(flat.type):
        raise EpisodesError(f"{name} must be numbers, got {array.type} in {path}; correct the column")
    wanted = size or int(counts[0])
    other = np.flatnonzero(counts != wanted)
    if other.size:
        row = int(rows[other[0]])
        raise _unusable(name, f"{wanted} numbers (meta/info.json)", f"{counts[other[0]]}", row, path)
    if flat.null_count:
        at = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
        raise _unusable(name, "finite numbers", f"null in dimension {at % wanted}", int(rows[at // wanted]), path)
    return _finite(flat, wanted, rows, name, path)


def _finite(flat: pyarrow.Array, size: int, rows: np.ndarray, name: str, path: pathlib.Path) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = flat.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        at = int(bad[0])
        what = f"{values[at]} in dimension {at % size}"
        raise _unusable(name, "finite numbers", what, int(rows[at // size]), path)
    return values.reshape(len(rows), size)


def _lengths(array: pyarrow.Array, counts: np.ndarray, rows: np.ndarray, name: str, path: pathlib.Path) -> np.ndarray:
    """Returns the number of values in each row one level deeper. Lists within a row must be equally long."""
    lengths = pyarrow.compute.list_value_length(array)
    if lengths.null_count:
        at = int(np.flatnonzero(lengths.is_null().to_numpy(zero_copy_only=False))[0])
        row = int(rows[np.searchsorted(np.cumsum(counts), at, side="right")])
        raise _unusable(name, "a list of numbers", "null", row, path)
    begins = np.concatenate([[0], np.cumsum(counts)])
    ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))])
    return np.diff(ends[begins])


def _check_present(array: pyarrow.Array, rows: np.ndarray, name: str, path: pathlib.Path) -> None:
    if array.null_count or pyarrow.types.is_null(array.type):
        at = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise _unusable(name, "a list of numbers", "null", int(rows[at]), path)


def _unusable(name: str, wanted: str, got: str, row: int, path: pathlib.Path) -> EpisodesError:
    return EpisodesError(
        f"{name} must have {wanted} in each row, got {got} in row {row} of {path}; leave the episode out "
        "(--leave_out_episodes) or correct it"
    )


def _combined(column: pyarrow.ChunkedArray) -> pyarrow.Array:
    array = column.combine_chunks()
    array = pyarrow.concat_arrays(array.chunks) if isinstance(array, pyarrow.ChunkedArray) else array
    return array.storage if isinstance(array, pyarrow.ExtensionArray) else array


def _is_list(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_number(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind))
