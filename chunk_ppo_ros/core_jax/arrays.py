"""Names of arrays and of trees of arrays for signatures; the letters of their shapes are documented here, once.

A signature such as `Float[Array, "B T"]` says the kind of numbers, the array and the shape (jaxtyping). One letter is
one size within a call, its result included. `...` stands for any leading axes and `*batch` for any that are equal
within a call; `_` is an axis of any size, `#K` may also be 1, and `W+1` and `2*W` are sizes that follow from others.
While tests run beartype checks every call against its signature (`test/conftest.py`); otherwise nothing is checked.

Letters of both rooms:
    B batch, N chunks of a rollout, C cameras, P patches of a camera, H action horizon or steps of a chunk,
    D action dimensions, T action-token slots, L prompt slots, S state dimensions, V vocabulary,
    K choices of a decoder, F FAST tokens, W width of the decoder. "height width 3" are an image's pixels.
Modules of the two towers have further letters, which their docstrings name.
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
"""A key of JAX's random numbers, no batch of keys."""

Scalar: TypeAlias = ScalarLike
"""A number: Python's, numpy's, or an array without axes."""

Params: TypeAlias = PyTree[AnyArray | np.generic]
"""Parameters: nested dicts of arrays, by the names of openpi's tree."""

Tree: TypeAlias = PyTree[AnyArray | np.generic]
"""Any pytree of arrays, or of numpy's scalars."""

ShapeTree: TypeAlias = PyTree
"""A pytree of arrays, or of what `jax.eval_shape` or Orbax tells of them: each leaf has a shape and a dtype."""
