"""Refuses arrays that are not finite, where they lie: no array is copied, and none is in memory twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.core.errors import CheckpointError

_BLOCK = 2**22
"""The number of elements that are looked at together on a CPU. Their marks take 4 MiB."""


def check_finite(folder: Path, arrays: Mapping[str, jax.Array]) -> None:
    """Refuses arrays with NaN or infinity. One that is finite, but absurd, cannot be told from a right one.

    Args:
        folder: the folder that the arrays were read from, for the error text.
        arrays: the arrays by the names under which they are stored. Whole numbers are finite in any case.

    Raises:
        CheckpointError: naming the first array that is not finite, and how many of its numbers are not.
    """
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            continue
        count = _count_on_cpu(array) if _is_on_cpu(array) else int(_count(array))
        if count:
            raise CheckpointError(
                f"{folder} must have finite numbers alone, but {count} of {array.size} in {name} are NaN or infinite; "
                "its training has failed or the file is damaged: take an earlier or another checkpoint"
            )


@jax.jit
def _count(array: jax.Array) -> jax.Array:
    """Returns how many numbers are not finite. The compiler joins both steps, so that no second array is made."""
    return jnp.sum(~jnp.isfinite(array), dtype=jnp.int32)


def _is_on_cpu(array: jax.Array) -> bool:
    return all(device.platform == "cpu" for device in array.devices())


def _count_on_cpu(array: jax.Array) -> int:
    """Returns how many numbers are not finite. numpy sees the memory of JAX, and nothing has to be compiled.

    An array that lies on several devices whole is counted once for each of them.
    """
    blocks = (block for shard in array.addressable_shards for block in _blocks(np.asarray(shard.data)))
    return sum(int(np.count_nonzero(~np.isfinite(block))) for block in blocks)


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    for first in range(0, flat.size, _BLOCK):
        yield flat[first : first + _BLOCK]
