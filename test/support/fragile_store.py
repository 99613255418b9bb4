"""Has a store whose disk can be full."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.data.store import Entry, RecordPlace, Store


class FragileStore(Store):
    """A store whose disk is full while a test says so."""

    is_full = False

    def append(self, entries: Sequence[Entry], *, sync: bool = True) -> list[RecordPlace]:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().append(entries, sync=sync)
