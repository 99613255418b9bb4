"""Thins the curves of a run while its records are read. The lowest and the highest value of each part stay visible."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Mapping

import numpy as np

MAX_PARTS = 800
"""The largest number of parts of a curve. A chart is some 400 to 600 pixels wide, so that a part is about a pixel."""

Points = tuple[np.ndarray, np.ndarray]
"""Positions and values of a curve, both float [N], in rising order of the positions. A value may be NaN."""


class ThinnedTable:
    """Takes numbers by their names, row by row. A part of it stands for one row, or for several of a long run.

    Of each number a part keeps the lowest and the highest value, their order and the mean.

    Args:
        num_rows: number of rows that will come. It decides how many of them make a part.
        max_parts: largest number of parts.
    """

    def __init__(self, num_rows: int, *, max_parts: int = MAX_PARTS) -> None:
        self.rows_per_part = max(1, math.ceil(num_rows / max_parts))
        self._first, self._last = array("d"), array("d")
        self._columns: dict[str, _Column] = {}
        self._num_rows = 0

    def add(self, x: float, row: Mapping[str, float | None]) -> None:
        """Adds a row.

        Args:
            x: its position, not below that of the row before.
            row: its numbers. What is None or not finite is left out of a part.
        """
        if self._num_rows % self.rows_per_part == 0:
            self._first.append(x)
            self._last.append(x)
        self._last[-1] = x
        self._num_rows += 1
        part = len(self._first) - 1
        for name, value in row.items():
            column = self._columns.setdefault(name, _Column())
            if value is not None and math.isfinite(value):
                column.add(part, value)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self._num_rows

    @property
    def names(self) -> list[str]:
        """The names of the numbers, in the order in which they first came."""
        return list(self._columns)

    def has_values(self, name: str) -> bool:
        """Returns whether a number was finite in some row."""
        return name in self._columns and bool(self._columns[name].low)

    def line(self, name: str) -> Points:
        """Returns the curve of a number: each row, or the lowest and the highest value of each part in their order.

        The two are drawn at the first and at the last position of their part, so that a spike is at most a part away
        from its place.
        """
        first, last = np.array(self._first), np.array(self._last)
        column = self._column(name)
        if self.rows_per_part == 1:
            return first, column.low
        ends = np.stack([column.low, column.high], axis=-1)
        x = np.stack([first, last], axis=-1).reshape(-1)
        y = np.where(column.low_is_first[:, None], ends, ends[:, ::-1]).reshape(-1)
        kept = np.diff(x, append=np.inf) > 0.0  # A part of one row is one point.
        return x[kept], y[kept]

    def mean(self, name: str) -> Points:
        """Returns the mean of each part, at the last position of the part."""
        return np.array(self._last), self._column(name).mean

    def low(self, name: str) -> Points:
        """Returns the lowest value of each part, at the last position of the part."""
        return np.array(self._last), self._column(name).low

    def high(self, name: str) -> Points:
        """Returns the highest value of each part, at the last position of the part."""
        return np.array(self._last), self._column(name).high

    def _column(self, name: str) -> _Parts:
        return self._columns.get(name, _Column()).padded(len(self._first))


@dataclasses.dataclass(frozen=True)
class _Parts:
    """The P parts of one number: float [P] each, and bool [P]."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    low_is_first: np.ndarray


class _Column:
    """The parts of one number. Parts in which it did not come are NaN."""

    def __init__(self) -> None:
        self.low, self._high, self._sum = array("d"), array("d"), array("d")
        self._count = array("q")
        self._low_is_first = array("b")

    def add(self, part: int, value: float) -> None:
        while len(self.low) <= part:
            for values in (self.low, self._high):
                values.append(math.nan)
            self._sum.append(0.0)
            self._count.append(0)
            self._low_is_first.append(1)
        self._sum[part] += value
        self._count[part] += 1
        if not value >= self.low[part]:  # It is lower, or the first one of its part.
            self.low[part] = value
            self._low_is_first[part] = self._count[part] == 1
        if not value <= self._high[part]:
            self._high[part] = value
            self._low_is_first[part] = 1

    def padded(self, num_parts: int) -> _Parts:
        missing = num_parts - len(self.low)
        low, high = (np.append(values, np.full(missing, np.nan)) for values in (self.low, self._high))
        with np.errstate(invalid="ignore"):
            mean = np.append(np.array(self._sum) / np.array(self._count, float), np.full(missing, np.nan))
        return _Parts(low, high, mean, np.append(np.array(self._low_is_first, bool), np.ones(missing, bool)))
