"""Draws the random weights of several arrays at once, because compiling one draw for each takes half a second each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax

from chunk_ppo_ros.core_jax.arrays import Array, Key

Spec = Mapping[str, tuple[tuple[int, ...], int]]


def draw_weights(spec: Spec, *, key: Key) -> dict[str, Array]:
    """Draws normal float32 arrays with variance 1 / fan_in (LeCun et al., "Efficient BackProp", 1998, eq. 16).

    Args:
        spec: shape and fan_in of each array, by its name.
        key: source of randomness.

    Returns:
        The arrays by their names.
    """
    numbers = jax.random.normal(key, (sum(math.prod(shape) for shape, _ in spec.values()),))
    arrays, start = {}, 0
    for name, (shape, fan_in) in spec.items():
        size = math.prod(shape)
        arrays[name] = numbers[start : start + size].reshape(shape) * fan_in**-0.5
        start += size
    return arrays
