"""A histogram of a few bins, which is small enough to be stored for each update of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

NUM_BINS = 24
"""The number of bins of a histogram."""


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How often numbers fell into bins of equal widths.

    Attributes:
        low: the smallest number, where the first bin begins.
        high: the largest number, where the last bin ends.
        counts: how many numbers fell into each bin; one bin where all numbers are equal.
        total: their sum.
        total_of_squares: the sum of their squares.
        is_log: whether bins have equal widths on a logarithmic axis. All numbers are above 0 then.
        num_left_out: how many further numbers were not finite, or not above 0 on a logarithmic axis.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    total: float
    total_of_squares: float
    is_log: bool = False
    num_left_out: int = 0

    @classmethod
    def of(cls, values: np.ndarray, *, is_log: bool = False) -> Histogram | None:
        """Returns the histogram of numbers, or None where there is none that counts.

        Args:
            values: numbers [N].
            is_log: whether bins have equal widths on a logarithmic axis.
        """
        given = np.asarray(values, np.float64)
        counted = given[np.isfinite(given) & (given > 0.0) if is_log else np.isfinite(given)]
        if not counted.size:
            return None
        low, high = float(counted.min()), float(counted.max())
        placed = np.log(counted) if is_log else counted
        ends = float(placed.min()), float(placed.max())
        # Bins between numbers that are nearly equal would have no width that a float can tell.
        is_one = ends[1] - ends[0] <= 1e-9 * max(abs(ends[0]), abs(ends[1]), 1e-9)
        counts = np.array([counted.size]) if is_one else np.histogram(placed, bins=NUM_BINS, range=ends)[0]
        return cls(
            low=low,
            high=high,
            counts=tuple(counts.tolist()),
            total=float(counted.sum()),
            total_of_squares=float(np.square(counted).sum()),
            is_log=is_log,
            num_left_out=int(given.size - counted.size),
        )

    @property
    def count(self) -> int:
        """How many numbers are counted."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of the numbers."""
        return self.total / self.count

    @property
    def edges(self) -> np.ndarray:
        """The edges of the bins, float64 [bins + 1]."""
        number = len(self.counts) + 1
        return np.geomspace(self.low, self.high, number) if self.is_log else np.linspace(self.low, self.high, number)

    def as_json(self) -> dict[str, Any]:
        """Returns the histogram as an object of a JSON file. Sums keep nine digits."""
        fields = dataclasses.asdict(self)
        return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in fields.items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Histogram:
        """Returns the histogram of such an object.

        Raises:
            ValueError: when it is not one.
        """
        try:
            found = cls(**{**fields, "counts": tuple(map(int, fields["counts"]))})
            if not found.counts or not all(np.isfinite([found.low, found.high, found.total, found.total_of_squares])):
                raise ValueError("its numbers are not finite, or it has no bin")
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"a histogram must have the fields of this version, got {str(fields)[:80]}: {error}"
            ) from error
        return found
