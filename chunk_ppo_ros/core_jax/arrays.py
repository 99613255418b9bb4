"""Types of arrays and of trees of arrays for signatures, and the one list of the letters that name their axes.

A signature such as `Float[Array, "B T"]` says the kind of numbers, the kind of array and the shape (jaxtyping). A
letter stands for the same size everywhere in one call, its result included. `...` stands for any leading axes, and
`*batch` for leading axes that are equal within a call. `_` is an axis of any size. `#K` has size K or 1. `W+1` and
`2*W` are sizes that follow from other sizes. While tests run, beartype checks every call against its signature
(`test/conftest.py`). Otherwise nothing is checked.

The letters of model/ and rl/ are these:
    B batch, N chunks of a rollout, C cameras, P patches of a camera, H action horizon or steps of a chunk,
    D action dimensions, T action-token slots, L prompt slots, S state dimensions, V vocabulary,
    K choices of a decoder, F FAST tokens, W width of the decoder. "height width 3" are an image's pixels.
Modules of the image tower and of the decoder have further letters, which their docstrings name.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jax import Array
from jaxtyping import PRNGKeyArray, PyTree, ScalarLike

__all__ = ["AnyArray", "Array", "Key", "Params", "PyTree", "Scalar", "ShapeTree", "Tree"]

AnyArray: TypeAlias = Array | np.ndarray
"""An array on a device or on the host."""

Key: TypeAlias = PRNGKeyArray
"""A single key of JAX's random numbers, not a batch of keys."""

Scalar: TypeAlias = ScalarLike
"""A number of Python or numpy, or an array without axes."""

Params: TypeAlias = PyTree[AnyArray | np.generic]
"""The parameters of a network, as nested dicts of arrays with the names of openpi's tree."""

Tree: TypeAlias = PyTree[AnyArray | np.generic]
"""A pytree of arrays or of numpy's scalars."""

ShapeTree: TypeAlias = PyTree
"""A pytree of arrays, or of the shapes and dtypes from `jax.eval_shape` or Orbax. Each leaf has a shape and a dtype."""
