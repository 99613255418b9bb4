"""Computes norm_stats of more chunks than fit into memory, in two passes over them, with exact quantiles.

A float32 number as a whole number of 32 bits keeps its order, if the bits of negative ones are flipped. The first pass
counts the upper 16 bits of all numbers of a dimension, and so finds the upper half of each order statistic. The second
pass counts the lower 16 bits of the numbers with that upper half. So the order statistics are exact, and the memory
does not depend on how many chunks there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from chunk_ppo_ros.model.tokenization.normalization import MIN_RANGE, NormStats, Stats

Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]
"""A function that goes through the data once: blocks of states [n, S] and actions [n, H, D] in the policy's space."""

_HALF = 1 << 16
_QUANTILES = (0.01, 0.99)


def streamed_norm_stats(blocks: Blocks, *, min_range: float = MIN_RANGE) -> NormStats:
    """Returns the statistics that `compute_norm_stats` returns for all blocks together.

    Quantiles are the same numbers. Means and standard deviations are sums in another order, which agree to about 1e-12.

    Args:
        blocks: the data in float32, which is gone through twice.
        min_range: the smallest range of a dimension, > 0.

    Raises:
        ValueError: where there is no data, or a value is not finite.
    """
    vectors: list[_Vector] = []
    for block in blocks():
        vectors = vectors or [_Vector(part.shape[-1]) for part in block]
        for vector, part in zip(vectors, block, strict=True):
            vector.count_upper(_flat(part))
    if not vectors or not vectors[0].count:
        raise ValueError("states and actions must be [N, S] and [N, H, D] with N > 0, got no chunk")
    for vector in vectors:
        vector.begin_second_pass()
    for block in blocks():
        for vector, part in zip(vectors, block, strict=True):
            vector.count_lower(_flat(part))
    state, actions = (vector.statistics(min_range) for vector in vectors)
    return NormStats(state=state, actions=actions)


class _Vector:
    """What is known of all numbers of a vector of D dimensions."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._sums, self._squares = np.zeros(dim), np.zeros(dim)
        self._upper = np.zeros((dim, _HALF), np.int64)
        self._lower: list[dict[int, np.ndarray]] = []

    def count_upper(self, values: np.ndarray) -> None:
        """Adds numbers [n, D] in the first pass."""
        if not np.all(np.isfinite(values)):
            raise ValueError("states and actions must be finite, got NaN or infinity; leave those chunks out")
        self.count += len(values)
        self._sums += values.sum(axis=0, dtype=np.float64)
        for dim, column in enumerate(_sortable(values).T):
            self._upper[dim] += np.bincount(column >> 16, minlength=_HALF)

    def begin_second_pass(self) -> None:
        """Finds which upper halves the order statistics have."""
        self._mean = self._sums / self.count
        self._ends = np.cumsum(self._upper, axis=1)
        for ends in self._ends:
            halves = {int(np.searchsorted(ends, rank, side="right")) for rank in self._ranks()}
            self._lower.append({half: np.zeros(_HALF, np.int64) for half in sorted(halves)})

    def count_lower(self, values: np.ndarray) -> None:
        """Adds the same numbers [n, D] in the second pass."""
        self._squares += ((values.astype(np.float64) - self._mean) ** 2).sum(axis=0)
        for column, counts in zip(_sortable(values).T, self._lower, strict=True):
            upper = column >> 16
            for half, lower in counts.items():
                lower += np.bincount(column[upper == half] & (_HALF - 1), minlength=_HALF)

    def statistics(self, min_range: float) -> Stats:
        """Returns the statistics, in which ranges below `min_range` are widened to it."""
        q01, q99 = np.array([[self._quantile(dim, q) for dim in range(len(self._sums))] for q in _QUANTILES])
        widen = np.maximum(min_range - (q99 - q01), 0) / 2
        std = np.sqrt(self._squares / self.count)
        return Stats(mean=self._mean, std=std, q01=q01 - widen, q99=q99 + widen)

    def _ranks(self) -> set[int]:
        below = {int(np.floor((self.count - 1) * quantile)) for quantile in _QUANTILES}
        return below | {min(rank + 1, self.count - 1) for rank in below}

    def _quantile(self, dim: int, quantile: float) -> float:
        """Returns numpy's quantile, which interpolates between two order statistics."""
        place = (self.count - 1) * quantile
        rank = int(np.floor(place))
        pair = [self._order_statistic(dim, each) for each in (rank, min(rank + 1, self.count - 1))]
        return float(np.quantile(pair, place - rank))

    def _order_statistic(self, dim: int, rank: int) -> float:
        ends = self._ends[dim]
        half = int(np.searchsorted(ends, rank, side="right"))
        before = int(ends[half - 1]) if half else 0
        lower = int(np.searchsorted(np.cumsum(self._lower[dim][half]), rank - before, side="right"))
        return float(_from_sortable((half << 16) | lower))


def _flat(part: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(part, np.float32).reshape(-1, part.shape[-1])


def _sortable(values: np.ndarray) -> np.ndarray:
    """Returns int64 numbers of 32 bits with the order of float32 values. -0 becomes 0, which is the same number."""
    bits = (values + np.float32(0)).view(np.uint32)
    flipped = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return flipped.astype(np.int64)


def _from_sortable(number: int) -> np.float32:
    bits = number & 0x7FFFFFFF if number >> 31 else ~number & 0xFFFFFFFF
    return np.array([bits], np.uint32).view(np.float32)[0]
