"""Damages what is in files that stay whole: keys, dtypes and shapes of HDF5, JSON, YAML and Parquet."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pyarrow
import yaml
from pyarrow import parquet

from fuzz_recordings.byte_faults import Fault

_OTHER_VALUES: tuple[Any, ...] = (None, "", "text", -1, 0, 3, 0.5, True, [], [1, 2], {}, {"a": 1}, float("inf"), 1e30)


def damage_content(folder: pathlib.Path, random: np.random.Generator) -> Fault | None:
    """Damages the content of one file, and returns what was done; None where the file has no content of its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _BY_SUFFIX)
    if not files:
        return None
    file = files[random.integers(len(files))]
    text = _BY_SUFFIX[file.suffix](file, random)
    return Fault("content", f"{text} in {file.relative_to(folder)}")


def _damage_hdf5(file: pathlib.Path, random: np.random.Generator) -> str:
    with h5py.File(file, "a") as opened:
        names: list[str] = []
        opened.visit(names.append)
        name = names[random.integers(len(names))]
        item = opened[name]
        if isinstance(item, h5py.Group) or random.random() < 0.2:
            del opened[name]
            return f"{name} is removed"
        values = np.asarray(item)
        text, other = _other_array(values, random)
        del opened[name]
        opened[name] = other
        return f"{name} is {text}"


def _other_array(values: np.ndarray, random: np.random.Generator) -> tuple[str, Any]:
    """Returns what is done to an array, and the array that replaces it."""
    changes: list[tuple[str, Callable[[], Any]]] = [
        ("float64", lambda: values.astype(np.float64)),
        ("float16", lambda: values.astype(np.float16)),
        ("int16", lambda: values.astype(np.int16)),
        ("complex", lambda: values.astype(np.complex64)),
        ("bool", lambda: values.astype(bool)),
        ("text", lambda: np.array([b"text"] * len(values))),
        ("a scalar", lambda: values.reshape(-1)[0]),
        ("flat", lambda: values.reshape(-1)),
        ("one step shorter", lambda: values[:-1]),
        ("empty", lambda: values[:0]),
        ("transposed", lambda: values.T),
        ("with one more axis", lambda: values[None]),
        ("with one dimension less", lambda: values[..., :-1]),
        ("NaN", lambda: np.full(values.shape, np.nan, np.float32)),
        ("h5py.Empty", lambda: h5py.Empty(values.dtype)),
    ]
    text, change = changes[random.integers(len(changes))]
    return text, change()


def _damage_json(file: pathlib.Path, random: np.random.Generator) -> str:
    content = json.loads(file.read_text())
    text = _damage_tree(content, random)
    file.write_text(json.dumps(content))
    return text


def _damage_lines(file: pathlib.Path, random: np.random.Generator) -> str:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    number = int(random.integers(len(rows)))
    if random.random() < 0.3:
        del rows[number]
        text = f"line {number} is removed"
    else:
        text = f"line {number}: {_damage_tree(rows[number], random)}"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return text


def _damage_yaml(file: pathlib.Path, random: np.random.Generator) -> str:
    content = yaml.safe_load(file.read_text())
    text = _damage_tree(content, random)
    file.write_text(yaml.safe_dump(content))
    return text


def _damage_tree(tree: Any, random: np.random.Generator) -> str:
    """Removes one value of nested dicts and lists, or replaces it by another, and returns what was done."""
    places = list(_places(tree))
    parent, key, path = places[random.integers(len(places))]
    if random.random() < 0.4:
        del parent[key]
        return f"{path} is removed"
    parent[key] = _OTHER_VALUES[random.integers(len(_OTHER_VALUES))]
    return f"{path} is {parent[key]!r}"


def _places(tree: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield tree, key, f"{path}/{key}"
        yield from _places(value, f"{path}/{key}")


def _damage_parquet(file: pathlib.Path, random: np.random.Generator) -> str:
    table = parquet.read_table(file)
    name = table.column_names[random.integers(table.num_columns)]
    index = table.column_names.index(name)
    column = table[name].to_pylist()
    row = int(random.integers(len(column)))
    kind = random.choice(["remove", "null", "all null", "text", "other row", "shorter", "swap"])
    if kind == "remove":
        parquet.write_table(table.remove_column(index), file)
        return f"the column {name} is removed"
    if kind == "null":
        column[row] = None
    elif kind == "all null":
        column = [None] * len(column)
    elif kind == "text":
        column = [str(value) for value in column]
    elif kind == "other row":
        column[row] = column[row - 1]
    elif kind == "shorter" and isinstance(column[row], list):
        column[row] = column[row][:-1]
    else:
        column = column[::-1]
    parquet.write_table(table.set_column(index, name, pyarrow.array(column)), file)
    return f"the column {name}: {kind}, row {row}"


_BY_SUFFIX: dict[str, Callable[[pathlib.Path, np.random.Generator], str]] = {
    ".hdf5": _damage_hdf5,
    ".json": _damage_json,
    ".jsonl": _damage_lines,
    ".yaml": _damage_yaml,
    ".parquet": _damage_parquet,
}
