"""Compares trees of arrays, and makes random trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def assert_trees_equal(first: Any, second: Any) -> None:
    """Fails where a leaf differs in any element."""
    jax.tree.map(np.testing.assert_array_equal, first, second)


def random_like(make: Callable[[], Any], *, scale: float = 0.3, seed: int = 0) -> Any:
    """Returns a tree as `make` would return it, of normal numbers that numpy draws.

    Nothing is compiled, and no leaf is zero.

    Args:
        make: a function of JAX, which is traced and not run.
        scale: the standard deviation of each number.
        seed: the seed of the numbers.
    """
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: random.normal(0.0, scale, leaf.shape).astype(leaf.dtype), jax.eval_shape(make))
