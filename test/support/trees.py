"""Comparisons of trees of arrays."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def assert_trees_equal(first: Any, second: Any) -> None:
    """Fails where a leaf differs in any element."""
    jax.tree.map(np.testing.assert_array_equal, first, second)
