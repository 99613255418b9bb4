"""The updates of a run: their curves, and what is counted over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.reporting.curves.thinned import ThinnedTable
from chunk_ppo_ros.reporting.metrics_file import Record

NOT_KEPT = "kl/after of updates that were not kept"
"""The name of a curve beside the metrics: `kl/after` of the updates of which nothing was kept."""

_PROGRESS = ("num_chunks", "num_steps", "policy_version", "time")


class Updates:
    """Takes the records of the updates of a run, in order.

    Args:
        count: number of records that will come.

    Attributes:
        curves: the numbers of the records over the chunks that were trained on, without the times of the run.
        first: the first record, or None before one.
        last: the newest record, or None before one.
        nulls: in how many records each number was not finite.
        totals: the sum of each number over all records in which it was finite.
        num_not_kept: number of updates of which nothing was kept.
    """

    def __init__(self, count: int) -> None:
        self.curves = ThinnedTable(count)
        self.first: Record | None = None
        self.last: Record | None = None
        self.nulls: dict[str, int] = {}
        self.totals: dict[str, float] = {}
        self.num_not_kept = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """Returns the updates of records that are in memory."""
        listed = list(records)
        updates = cls(len(listed))
        for record in listed:
            updates.add(record)
        return updates

    def add(self, record: Record) -> None:
        """Takes the next record."""
        self.first = self.first or record
        self.last = record
        numbers = {name: value for name, value in record.items() if _is_metric(name, value)}
        for name, value in numbers.items():
            if value is None:
                self.nulls[name] = self.nulls.get(name, 0) + 1
            else:
                self.totals[name] = self.totals.get(name, 0.0) + value
        if record.get("update/accepted") == 0.0:
            self.num_not_kept += 1
            numbers[NOT_KEPT] = record.get("kl/after")
        self.curves.add(float(record["num_chunks"]), numbers)

    def __len__(self) -> int:
        """Returns the number of updates."""
        return len(self.curves)

    def counted(self, name: str) -> int:
        """Returns a counter of progress, such as "num_steps", after the newest update."""
        return int(self.last[name]) if self.last else 0

    @property
    def trained_on(self) -> str:
        """A text that says how many updates, chunks and control steps the run has trained on."""
        chunks, steps = self.counted("num_chunks"), self.counted("num_steps")
        return f"{count_of(len(self), 'update')}, {count_of(chunks, 'chunk')}, {count_of(steps, 'control step')}"

    @property
    def names(self) -> list[str]:
        """The logged names of the metrics, in the order in which they first came."""
        return [name for name in self.curves.names if name != NOT_KEPT]


def _is_metric(name: str, value: object) -> bool:
    is_number = value is None or isinstance(value, (int, float))
    return is_number and name not in _PROGRESS and not name.startswith("run_time/")
