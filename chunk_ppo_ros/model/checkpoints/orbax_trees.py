"""Writes trees of arrays to Orbax folders, checks their names and shapes, and reads them straight to their devices.

The names of arrays are those of `core_jax/named_leaves.py`. `checkpoint.py` knows the folders of a checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.arrays import PyTree, ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import HasShape, leaf_shardings, name_leaves
from chunk_ppo_ros.model.checkpoints.finite_arrays import check_finite
from chunk_ppo_ros.model.checkpoints.orbax_probe import TREE_FILE, probe

MIN_READ_BYTES = 64 * 2**20
_MODEL_ADVICE = "set the model section to the checkpoint's sizes or take another checkpoint"


def is_tree(folder: Path) -> bool:
    """Returns whether the folder looks like one that Orbax finished."""
    return (folder / TREE_FILE).is_file()


def save_tree(folder: Path, tree: PyTree) -> None:
    """Writes a tree of arrays, as nested dicts keyed by the parts of their names, to a folder that does not exist."""
    names = {tuple(name.split("/")): leaf for name, leaf in name_leaves(tree).items()}
    with orbax.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.resolve(), flax.traverse_util.unflatten_dict(names))


def stored_shapes(folder: Path) -> dict[str, HasShape]:
    """Returns the shape and dtype of each array of a folder, by name, without reading the arrays.

    Raises:
        CheckpointError: when the folder is missing, is no complete Orbax folder, or has other things than arrays.
    """
    tree = _stored_tree(folder)
    leaves = _flat(tree) if isinstance(tree, dict) else {}
    if not leaves or any(getattr(leaf, "shape", None) is None for leaf in leaves.values()):
        raise CheckpointError(
            f"{folder} must hold named arrays, got other things; it is a checkpoint of another program"
        )
    return leaves


def load_tree(
    folder: Path,
    expected: ShapeTree,
    *,
    names: Mapping[str, str],
    stored: Mapping[str, HasShape] | None = None,
    sharding: PyTree = None,
    verified: bool = False,
    before_reading: Callable[[], object] = lambda: None,
    on_read: Callable[[int], object] | None = None,
    advice: str = _MODEL_ADVICE,
) -> PyTree:
    """Reads arrays of a folder into the structure of `expected`, each straight to its devices.

    No array is in memory twice. Beside the arrays, the host needs memory for the compressed form of the largest array,
    or of several smaller arrays together.

    Args:
        folder: a folder that `save_tree` or openpi wrote.
        expected: tree of arrays or of `jax.ShapeDtypeStruct`; the arrays are converted to its dtypes.
        names: the name in `expected` of each array, by its stored name; an array that is not in it is not read.
        stored: the result of `stored_shapes` for the folder, where the caller has it. Reading it again takes tens of
            ms.
        sharding: the devices of the arrays, as `leaf_shardings` takes them.
        verified: whether checksums have shown that the files are whole. Where they have not, arrays are read one after
            the other, which takes 10 ms each. If they were read together and one failed, Orbax would go on reading the
            others, and Python would report their errors later.
        before_reading: function that is called when everything has been checked that can be checked without reading
            arrays. It may free the arrays that the new ones replace.
        on_read: function that is called with the bytes of some arrays, once they are read. They are then read in
            groups of at least 64 MiB.
        advice: end of the error text where shapes differ.

    Returns:
        A tree of `jax.Array`, committed to their devices.

    Raises:
        CheckpointError: when arrays are missing, not expected or of another shape, each of which is listed; when
            whole numbers are stored where others are expected; when reading fails; or when a number is NaN or infinite.
    """
    stored, wanted = stored_shapes(folder) if stored is None else stored, name_leaves(expected)
    check_shapes(folder, {names[name]: stored[name] for name in names}, wanted, advice=advice)
    _check_kinds(folder, {names[name]: stored[name] for name in names}, wanted)
    before_reading()
    places = leaf_shardings(expected, sharding)
    arguments = {
        name: orbax.ArrayRestoreArgs(sharding=places[names[name]], dtype=wanted[names[name]].dtype) for name in names
    }
    arrays: dict[str, jax.Array] = {}
    sizes = {name: _bytes_to_read(stored[name], arguments[name].dtype) for name in names}
    least = 0 if not verified else sum(sizes.values()) if on_read is None else MIN_READ_BYTES
    for group in _groups(sizes, least):
        restored = read_arrays(folder, {name: stored[name] for name in group}, arguments)
        check_finite(folder, restored)
        arrays |= {names[name]: array for name, array in restored.items()}
        if on_read is not None:
            on_read(sum(array.nbytes for array in restored.values()))
    return jax.tree.unflatten(jax.tree.structure(expected), [arrays[name] for name in wanted])


def _groups(sizes: Mapping[str, int], least: int) -> Iterator[list[str]]:
    """Yields the names in groups, each of which has at least `least` bytes, but for the last one."""
    group: list[str] = []
    for name in sizes:
        group.append(name)
        if sum(sizes[one] for one in group) >= least:
            yield group
            group = []
    if group:
        yield group


def check_shapes(
    folder: Path, found: Mapping[str, HasShape], expected: Mapping[str, HasShape], *, advice: str = _MODEL_ADVICE
) -> None:
    """Compares the shapes of the stored arrays with the expected ones.

    Raises:
        CheckpointError: when shapes differ; each array is listed with the expected and the found shape.
    """
    differing = [
        f"  {name}: expected {_shape(expected, name)}, found {_shape(found, name)}"
        for name in sorted(found.keys() | expected.keys())
        if _shape(found, name) != _shape(expected, name)
    ]
    if differing:
        raise CheckpointError(
            f"{folder} must have the arrays of the configuration, but {len(differing)} differ; {advice}:\n"
            + "\n".join(differing)
        )


def _check_kinds(folder: Path, found: Mapping[str, HasShape], expected: Mapping[str, HasShape]) -> None:
    """Refuses whole numbers in the place of others. They are quantized, and mean nothing without their scales.

    Raises:
        CheckpointError: naming the first such array.
    """
    for name, leaf in expected.items():
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not jnp.issubdtype(found[name].dtype, jnp.floating):
            raise CheckpointError(
                f"{folder} must have floating-point numbers in {name}, got {found[name].dtype}; quantized weights "
                "cannot be read: take the checkpoint that they were made from"
            )


def read_arrays(
    folder: Path, stored: Mapping[str, HasShape], arguments: Mapping[str, orbax.ArrayRestoreArgs]
) -> dict[str, jax.Array]:
    """Reads the named arrays. At any time, it reads no more bytes than the largest of them has, or 64 MiB."""
    largest = max((_bytes_to_read(stored[name], arguments[name].dtype) for name in stored), default=0)
    handler = orbax.PyTreeCheckpointHandler(
        handler_impl=orbax.BasePyTreeCheckpointHandler(restore_concurrent_bytes=max(largest + 1, MIN_READ_BYTES))
    )
    request = orbax.args.PyTreeRestore(
        item=flax.traverse_util.unflatten_dict(dict(stored), sep="/"),
        restore_args=flax.traverse_util.unflatten_dict({name: arguments[name] for name in stored}, sep="/"),
        partial_restore=True,
    )
    try:
        with _quiet_orbax(), orbax.Checkpointer(handler) as checkpointer:
            return _flat(checkpointer.restore(folder.resolve(), args=request))
    except Exception as error:  # Orbax and its storage raise many kinds of errors.
        raise CheckpointError(
            f"{folder} cannot be read: {_reason(error)}; the folder is damaged, so take another checkpoint"
        ) from error


def _bytes_to_read(stored: HasShape, dtype: np.dtype) -> int:
    """Returns the bytes that Orbax reserves for an array: all its stored chunks, in the wider of both dtypes."""
    chunk = getattr(getattr(stored, "storage", None), "chunk_shape", None) or stored.shape
    elements = math.prod(-(-size // part) * part for size, part in zip(stored.shape, chunk, strict=True) if part)
    return elements * max(np.dtype(stored.dtype).itemsize, np.dtype(dtype).itemsize)


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keeps Orbax's warnings from the terminal, because the error that follows says what is wrong."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """Returns the first line of the first error's text. Orbax wraps that error in its own, with pages of details."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _stored_tree(folder: Path) -> PyTree:
    """Returns Orbax's description of a folder: nested dicts with the shape and dtype of each array."""
    if not is_tree(folder):
        found = ", ".join(sorted(child.name for child in folder.iterdir())) if folder.is_dir() else "no such folder"
        raise CheckpointError(
            f"{folder} must be a complete Orbax folder with a {TREE_FILE} file, got: {found or 'an empty folder'}; "
            "take another checkpoint"
        )
    try:
        probe(folder)
        with _quiet_orbax(), orbax.PyTreeCheckpointer() as checkpointer:
            metadata = checkpointer.metadata(folder.resolve()).item_metadata
    except Exception as error:  # Orbax and its storage raise many kinds of errors.
        raise CheckpointError(
            f"{folder} cannot be read: {_reason(error)}; the folder is damaged, so take another checkpoint"
        ) from error
    if metadata is None:
        raise CheckpointError(f"{folder} cannot be read: its list of arrays is damaged; take another checkpoint")
    return metadata.tree


def _flat(tree: PyTree) -> dict[str, PyTree]:
    return flax.traverse_util.flatten_dict(tree, sep="/")


def _shape(leaves: Mapping[str, HasShape], name: str) -> str:
    return str(tuple(leaves[name].shape)) if name in leaves else "nothing"
