"""Computes meta/stats.json: the range, mean, deviation and quantiles of each feature over all rows."""

from __future__ import annotations

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
"""The quantiles that LeRobot keeps."""
_LEVELS = 256
Statistics = dict[str, list[object]]
"""The statistics of a feature, as JSON writes them."""


def statistics_of(values: np.ndarray) -> Statistics:
    """Returns the statistics of a column [N] or [N, D], over its rows."""
    columns = np.asarray(values, np.float64).reshape(len(values), -1)
    found = {
        "min": columns.min(axis=0),
        "max": columns.max(axis=0),
        "mean": columns.mean(axis=0),
        "std": columns.std(axis=0),
        **{name: np.quantile(columns, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: each.tolist() for name, each in found.items()} | {"count": [len(values)]}


class ImageStatistics:
    """The statistics of a camera, of which all pixels count. Values are levels of 0 to 1."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, _LEVELS), np.int64)
        self._num_images = 0

    def add(self, image: np.ndarray, times: int = 1) -> None:
        """Counts an image, uint8 [h, w, 3], as often as it stands in the dataset."""
        for channel in range(3):
            self._counts[channel] += times * np.bincount(image[..., channel].ravel(), minlength=_LEVELS)
        self._num_images += times

    def result(self) -> Statistics:
        """Returns the statistics, each [3][1][1] but the number of images."""
        levels, total = np.arange(_LEVELS) / (_LEVELS - 1), self._counts.sum(axis=1)
        mean = self._counts @ levels / total
        variance = self._counts @ levels**2 / total - mean**2
        below = np.cumsum(self._counts, axis=1)
        found = {
            "min": [levels[np.flatnonzero(counts)[0]] for counts in self._counts],
            "max": [levels[np.flatnonzero(counts)[-1]] for counts in self._counts],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0.0)),
            **{
                name: [levels[np.searchsorted(row, share * row[-1])] for row in below]
                for name, share in QUANTILES.items()
            },
        }
        shaped = {name: np.reshape(each, (3, 1, 1)).tolist() for name, each in found.items()}
        return shaped | {"count": [self._num_images]}
