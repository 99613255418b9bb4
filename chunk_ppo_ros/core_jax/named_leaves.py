"""Names the leaves of trees by their paths joined by "/", for example "value_head/hidden/kernel"."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import jax
import numpy as np

from chunk_ppo_ros.core_jax.arrays import PyTree, ShapeTree


@runtime_checkable
class HasShape(Protocol):
    """An array, or the description of one by `jax.eval_shape` or Orbax."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


def name_leaves(tree: PyTree) -> dict[str, PyTree]:
    """Returns the leaves of any pytree by name, in the order of `jax.tree.leaves`. A dict keyed by names keeps them."""
    flat, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}


def leaf_shardings(expected: ShapeTree, sharding: PyTree) -> dict[str, jax.sharding.Sharding]:
    """Returns the sharding of each leaf by name.

    Args:
        expected: tree of arrays or shapes.
        sharding: one `jax.sharding.Sharding`, or a tree of them like `expected` or its upper part; None takes the first
            device.
    """
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return name_leaves(jax.tree.broadcast(sharding, expected))
