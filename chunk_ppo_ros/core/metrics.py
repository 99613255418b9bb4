"""The type of a run's metrics, which maps the logged name of each metric, such as "loss/policy", to its number.

Metrics may carry histograms too, such as that of the ratios of an update.

The code that computes a metric also gives it its logged name, and no other code does. `reporting/metric_table/` says
what each metric means. Add a row there for a new metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from chunk_ppo_ros.core.distributions.histogram import Histogram


class Metrics(Mapping[str, float]):
    """An immutable mapping from the logged name of a metric to its value. The operator `|` joins two of them.

    Args:
        numbers: value of each metric by its logged name.
        histograms: histograms by their logged names, which are not among those of the numbers.

    Attributes:
        histograms: the histograms.

    Raises:
        ValueError: when a value is not a Python number, because the metrics file and the messages take no arrays.
    """

    def __init__(
        self, numbers: Mapping[str, float] | None = None, histograms: Mapping[str, Histogram] | None = None
    ) -> None:
        self._numbers = dict(numbers or {})
        self.histograms: Mapping[str, Histogram] = dict(histograms or {})
        for name, value in self._numbers.items():
            if not isinstance(value, (int, float)):
                raise ValueError(
                    f"the metric {name} must be a Python number, got {value!r} of type {type(value).__name__}; "
                    "convert it by float()"
                )

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __hash__(self) -> int:
        """Returns a hash that is equal for equal metrics, as values that hold metrics need it."""
        return hash(frozenset(self._numbers.items()))

    def __or__(self, other: Metrics) -> Self:
        """Returns the metrics of both mappings.

        Raises:
            ValueError: when a name is in both, because a metric must be computed in one place.
        """
        twice = [name for name in (*other, *other.histograms) if name in self or name in self.histograms]
        if twice:
            raise ValueError(f"a metric must be computed once, got {', '.join(twice)} twice; rename one of them")
        return type(self)({**self, **other}, {**self.histograms, **other.histograms})

    def __repr__(self) -> str:
        return f"Metrics({self._numbers})"
