"""Trees of arrays as Orbax folders: written whole, checked by name and shape before they are read.

Names are the tree's path joined by "/", for example "value_head/hidden/kernel". What the folders of a checkpoint are
called and what is in them is `checkpoint.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as orbax

from chunk_ppo_ros.errors import CheckpointError

_TREE_FILE = "_METADATA"  # Orbax's list of arrays; a folder without it is no tree


class HasShape(Protocol):
    """An array, or what `jax.eval_shape` and Orbax tell of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...


def is_tree(folder: Path) -> bool:
    """Whether the folder looks like one that Orbax finished."""
    return (folder / _TREE_FILE).is_file()


def save_tree(folder: Path, tree: Any) -> None:
    """Writes a tree of arrays, as nested dicts keyed by the parts of their names, to a folder that does not exist."""
    names = {tuple(name.split("/")): leaf for name, leaf in name_leaves(jax.device_get(tree)).items()}
    with orbax.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), flax.traverse_util.unflatten_dict(names))


def stored_shapes(folder: Path) -> dict[str, HasShape]:
    """Shape and dtype of each array of a folder, by name, without reading the arrays.

    Raises:
        CheckpointError: when it is missing or no complete Orbax folder.
    """
    return _flat(_stored_tree(folder))


def load_tree(folder: Path, expected: Any, *, names: Mapping[str, str]) -> Any:
    """Reads the arrays of a folder into the structure of `expected`.

    Args:
        folder: what `save_tree` or openpi wrote.
        expected: tree of arrays or of `jax.ShapeDtypeStruct`; its dtypes are what the arrays are converted to.
        names: the stored name of each array -> the name that `expected` has for it.

    Returns:
        A tree of numpy arrays.

    Raises:
        CheckpointError: listing every array that is missing, not expected or of another shape; or when reading fails.
    """
    tree = _stored_tree(folder)
    wanted = name_leaves(expected)
    check_shapes(folder, {names[name]: leaf for name, leaf in _flat(tree).items()}, wanted)
    arguments = {
        name: orbax.RestoreArgs(restore_type=np.ndarray, dtype=wanted[names[name]].dtype) for name in _flat(tree)
    }
    try:
        with orbax.PyTreeCheckpointer() as checkpointer:
            restored = checkpointer.restore(
                folder.absolute(), restore_args=flax.traverse_util.unflatten_dict(arguments, sep="/")
            )
    except Exception as error:  # Orbax and its storage raise many kinds
        raise CheckpointError(f"{folder} cannot be read: {error}; it is damaged, take another checkpoint") from error
    arrays = {names[name]: array for name, array in _flat(restored).items()}
    return jax.tree.unflatten(jax.tree.structure(expected), [arrays[name] for name in wanted])


def check_shapes(folder: Path, found: Mapping[str, HasShape], expected: Mapping[str, HasShape]) -> None:
    """Compares what is stored with what is expected.

    Raises:
        CheckpointError: listing every name that differs, with the expected and the found shape.
    """
    differing = [
        f"  {name}: expected {_shape(expected, name)}, found {_shape(found, name)}"
        for name in sorted(found.keys() | expected.keys())
        if _shape(found, name) != _shape(expected, name)
    ]
    if differing:
        raise CheckpointError(
            f"{folder} must have the parameters of the configured model, but {len(differing)} differ; "
            "set the model section to the checkpoint's sizes or take another checkpoint:\n" + "\n".join(differing)
        )


def name_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of any pytree by name, in the order of `jax.tree.leaves`."""
    flat, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}


def _stored_tree(folder: Path) -> Any:
    """What Orbax tells of a folder: nested dicts of shape and dtype."""
    if not is_tree(folder):
        there = ", ".join(sorted(child.name for child in folder.iterdir())) if folder.is_dir() else "no such folder"
        raise CheckpointError(
            f"{folder} must be a complete Orbax folder with a {_TREE_FILE} file, got: {there or 'an empty folder'}; "
            "take another checkpoint"
        )
    try:
        with orbax.PyTreeCheckpointer() as checkpointer:
            metadata = checkpointer.metadata(folder.absolute()).item_metadata
    except Exception as error:  # Orbax and its storage raise many kinds
        raise CheckpointError(f"{folder} cannot be read: {error}; it is damaged, take another checkpoint") from error
    if metadata is None:
        raise CheckpointError(f"{folder} cannot be read: its list of arrays is damaged; take another checkpoint")
    return metadata.tree


def _flat(tree: Any) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(tree, sep="/")


def _shape(leaves: Mapping[str, HasShape], name: str) -> str:
    return str(tuple(leaves[name].shape)) if name in leaves else "nothing"
