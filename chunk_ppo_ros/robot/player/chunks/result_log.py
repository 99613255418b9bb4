"""Keeps the results until they are taken, and knows which chunks have one."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_ros.core.execution import ExecutionResult

REMEMBERED_STAMPS = 65_536
"""The number of reported stamps that are remembered, so that a late or repeated half of a reported chunk is ignored."""


class ResultLog:
    """Holds the results that nobody has taken yet, and the stamps of those before."""

    def __init__(self) -> None:
        self._results: list[ExecutionResult] = []
        self._stamps: dict[int, None] = {}  # a dict keeps their order and finds one quickly

    def report(self, result: ExecutionResult) -> None:
        """Adds the result of a chunk or segment."""
        self.note([result.stamp])
        self._results.append(result)

    def note(self, stamps: Iterable[int]) -> None:
        """Records that the chunks with these stamps (ns) have a result, which is not kept here."""
        for stamp in stamps:
            self._stamps[stamp] = None
            if len(self._stamps) > REMEMBERED_STAMPS:
                del self._stamps[next(iter(self._stamps))]

    def has(self, stamp: int) -> bool:
        """Returns whether the chunk of this stamp (ns) has a result, as far as it is remembered."""
        return stamp in self._stamps

    def take(self) -> list[ExecutionResult]:
        """Returns the results since the last call, oldest first."""
        results, self._results = self._results, []
        return results
