"""The metrics of a run: numbers by the names under which they are logged, such as "loss/policy".

Each metric is written once, under its logged name, where it is computed. `reporting/metric_table/` says what each one
means; whoever adds a metric adds a row there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self


class Metrics(Mapping[str, float]):
    """Metrics by name, which do not change once they are made; `|` joins those that were computed in several places.

    Args:
        numbers: logged name -> value.

    Raises:
        ValueError: where a value is not a Python number, because the metrics file and the messages take no arrays.
    """

    def __init__(self, numbers: Mapping[str, float] | None = None) -> None:
        self._numbers = dict(numbers or {})
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

    def __or__(self, other: Metrics) -> Self:
        """Returns the metrics of both.

        Raises:
            ValueError: where a name is in both, because a metric must be computed in one place.
        """
        twice = [name for name in other if name in self]
        if twice:
            raise ValueError(f"a metric must be computed once, got {', '.join(twice)} twice; rename one of them")
        return type(self)({**self, **other})

    def __repr__(self) -> str:
        return f"Metrics({self._numbers})"
