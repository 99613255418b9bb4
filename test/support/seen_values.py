"""Collects values that a compiled program computes on its way."""

from __future__ import annotations

import jax
import numpy as np


class SeenValues:
    """Collects the values that a compiled program hands to `see`.

    The values are read only when the program has ended: XLA may have one thread, and a callback that reads an array
    would hold this thread and wait for it at once.
    """

    def __init__(self) -> None:
        self._values: list[jax.Array] = []

    def see(self, value: jax.Array, *, ordered: bool = False) -> None:
        """Collects a value of each run of the traced function. In loops, `ordered` keeps the order of the steps."""
        jax.debug.callback(self._values.append, value, ordered=ordered)

    def read(self) -> list[np.ndarray]:
        """Returns the values so far, after all programs have ended."""
        jax.effects_barrier()
        return [np.asarray(value) for value in self._values]
