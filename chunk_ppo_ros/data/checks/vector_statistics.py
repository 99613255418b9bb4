"""Collects the ranges and quantiles of a recorded vector, in memory that does not grow with the recording."""

from __future__ import annotations

import dataclasses

import numpy as np

MAX_ROWS = 65_536
"""The largest number of rows that are kept for quantiles. Beyond it every second one is dropped, again and again."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A step of a recording."""

    source: str
    step: int

    def __str__(self) -> str:
        return f"{self.source}, step {self.step}"


class VectorStatistics:
    """The smallest and largest values of each of D dimensions with their places, and a sample for quantiles.

    Attributes:
        low: float64 [D], the smallest values.
        high: float64 [D], the largest values.
        low_at: the place of each smallest value.
        high_at: the place of each largest value.
        num_steps: the number of steps that were added.
    """

    def __init__(self, dim: int) -> None:
        self.low, self.high = np.full(dim, np.inf), np.full(dim, -np.inf)
        self.low_at = [Place("", 0)] * dim
        self.high_at = [Place("", 0)] * dim
        self.num_steps = 0
        self._rows = np.empty((0, dim), np.float32)
        self._stride = 1

    def add(self, values: np.ndarray, source: str) -> None:
        """Adds the vectors [T, D] of an episode."""
        for dim in range(len(self.low)):
            first, last = int(np.argmin(values[:, dim])), int(np.argmax(values[:, dim]))
            if values[first, dim] < self.low[dim]:
                self.low[dim], self.low_at[dim] = float(values[first, dim]), Place(source, first)
            if values[last, dim] > self.high[dim]:
                self.high[dim], self.high_at[dim] = float(values[last, dim]), Place(source, last)
        offset = -self.num_steps % self._stride
        self.num_steps += len(values)
        self._rows = np.concatenate([self._rows, np.asarray(values[offset :: self._stride], np.float32)])
        while len(self._rows) > MAX_ROWS:
            self._rows, self._stride = self._rows[::2].copy(), self._stride * 2

    def quantiles(self) -> np.ndarray:
        """Returns the 1 % and 99 % quantiles, float64 [2, D], exact up to `MAX_ROWS` steps and of a sample beyond."""
        return np.quantile(self._rows.astype(np.float64), [0.01, 0.99], axis=0)

    @property
    def ranges(self) -> np.ndarray:
        """The difference of the largest and the smallest value, float64 [D]."""
        return self.high - self.low
