"""Random weights for a handful of arrays from one draw; each draw of its own would take half a second to compile."""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax

from chunk_ppo_ros.core_jax.arrays import Array, Key

Spec = Mapping[str, tuple[tuple[int, ...], int]]


def draw_weights(spec: Spec, *, key: Key) -> dict[str, Array]:
    """Normally distributed float32 arrays with variance 1 / fan_in (LeCun et al., "Efficient BackProp", 1998, eq. 16).

    Args:
        spec: name -> (shape, fan_in).
        key: source of randomness.

    Returns:
        name -> array of that shape.
    """
    numbers = jax.random.normal(key, (sum(math.prod(shape) for shape, _ in spec.values()),))
    arrays, start = {}, 0
    for name, (shape, fan_in) in spec.items():
        size = math.prod(shape)
        arrays[name] = numbers[start : start + size].reshape(shape) * fan_in**-0.5
        start += size
    return arrays
