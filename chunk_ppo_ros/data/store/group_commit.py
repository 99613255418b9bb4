"""Appends to a store in a thread of its own, and syncs what waits together."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence

from chunk_ppo_ros.data.store.records import Entry, RecordPlace
from chunk_ppo_ros.data.store.store import Store

Result = RecordPlace | OSError
"""Where a record was stored, or why it was not."""


@dataclasses.dataclass(frozen=True)
class _Job:
    """An entry that waits, and what is called when it is stored."""

    entry: Entry
    on_stored: Callable[[Result], None]
    sync: bool


class GroupCommit:
    """Stores entries in the order in which they were submitted, several with one sync.

    While one group is synced, the next entries gather. So a single entry does not wait, and many share a sync.

    Args:
        store: the opened store. Nobody else may append to it.
        max_records: the largest number of entries in a group.
    """

    def __init__(self, store: Store, *, max_records: int = 8) -> None:
        self._store = store
        self._max_records = max_records
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()  # so that nothing is submitted after the end
        self._thread = threading.Thread(target=self._run, name=f"{store.name}_store", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry, on_stored: Callable[[Result], None], *, sync: bool = True) -> None:
        """Stores an entry.

        Args:
            entry: what to store.
            on_stored: is called in the thread of this object, with the place of the record when it survives a power
                cut, or with the error for which it is not stored. It must not raise.
            sync: False where nobody relies on the entry. `on_stored` is then called when it is written, and a power cut
                may lose it.

        Raises:
            RuntimeError: after `close`.
        """
        with self._closing:
            if self._closed:
                raise RuntimeError("entries must be submitted before the group commit is closed")
            self._jobs.put(_Job(entry, on_stored, sync))

    def close(self) -> None:
        """Stores what waits, and ends the thread. The store stays open."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            ended = False
            while len(group) < self._max_records and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    ended = True
                    break
                group.append(following)
            self._store_group(group)
            if ended:
                return

    def _store_group(self, group: list[_Job]) -> None:
        results: Sequence[Result]
        try:
            results = self._store.append([job.entry for job in group], sync=any(job.sync for job in group))
        except OSError as error:
            results = [error] * len(group)
        except Exception as error:  # A fault of the program. Whoever waits must hear of it, and so must its user.
            failure = OSError(f"it is not stored, because of a fault in the program: {error!r}")
            failure.__cause__ = error
            results = [failure] * len(group)
            _report(error)
        for job, result in zip(group, results, strict=True):
            _call(job.on_stored, result)


def _call(on_stored: Callable[[Result], None], result: Result) -> None:
    """Calls a function that must not raise. If it does, this is reported and the thread goes on."""
    try:
        on_stored(result)
    except Exception as error:  # A fault of the program, after which the other entries must still be stored.
        _report(error)


def _report(error: Exception) -> None:
    """Shows an error with its traceback, as one that ends a thread is shown."""
    threading.excepthook(
        threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    )
