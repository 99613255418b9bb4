"""The store of records, by itself and through the thread that syncs several records together."""

from __future__ import annotations

import collections
import contextlib
import functools
import threading
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.data.store import Contents, Entry, GroupCommit, RecordPlace, Store, read_payload, read_store
from power_cut.case import Case, differences, numbers, payload, say

_SEGMENT_BYTES = 3000
_GROUPS = (1, 1, 3, 1, 2, 1, 4, 1)
"""The numbers of records that are appended together."""
_NUM_UNSYNCED = 2
_NEW = 10_000
"""The number of the record that is appended after a cut."""


class StoreCase(Case):
    """Appends groups of records in three processes, which end without closing, and removes what nobody needs."""

    name = "store"
    num_sessions = 3

    def write(self, folder: Path, session: int) -> None:
        """Acknowledges what is stored, also what a process before has left without a sync, and removes old records."""
        store, contents = open_store(folder)
        for place in contents.records:
            say(f"ACK {place.key.number}")
        number = session * (sum(_GROUPS) + _NUM_UNSYNCED)
        if session:
            say(f"FORGET {number - sum(_GROUPS) // 2}")
            store.remove_segments(number - sum(_GROUPS) // 2)
        for size in _GROUPS:
            group = range(number, number + size)
            store.append([entry(each) for each in group])
            for each in group:
                say(f"ACK {each}")
            number += size
        store.append([entry(number + each) for each in range(_NUM_UNSYNCED)], sync=False)

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Opens the store, appends to it and reads it, as a process that is started anew."""
        return store_fault(folder, said)


class GroupCommitCase(Case):
    """Submits records from two threads, and acknowledges them where the thread of the store says that they are safe."""

    name = "group_commit"
    num_sessions = 2

    def write(self, folder: Path, session: int) -> None:
        """Submits records while others are synced."""
        store, _ = open_store(folder)
        commit = GroupCommit(store, max_records=4)
        first = session * 2 * sum(_GROUPS)
        threads = [
            threading.Thread(target=_submit, args=(commit, range(begin, begin + sum(_GROUPS))))
            for begin in (first, first + sum(_GROUPS))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        commit.close()

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Opens the store, appends to it and reads it, as a process that is started anew."""
        return store_fault(folder, said)


def open_store(folder: Path) -> tuple[Store, Contents]:
    """Returns the opened store of a case and what it holds."""
    store = Store(folder / "runs" / "store", name="case", run_id="run", segment_bytes=_SEGMENT_BYTES)
    return store, store.open()


def entry(number: int) -> Entry:
    """Returns what is appended under a number."""
    return Entry(1, "robot_0", number, payload(number))


def store_fault(folder: Path, said: Sequence[str]) -> str:
    """Returns what is wrong with a store after a cut, or an empty text."""
    store, before = open_store(folder)
    with contextlib.closing(store):
        places = store.append([entry(_NEW)])
    after = read_store(store.folder)
    promised = [*_needed(said), _NEW]
    keys = [place.key for place in after.records]
    indices = [place.index for place in after.records]
    if indices != sorted(set(indices)):
        return f"indices must grow, got {indices}"
    repeated = [number for number, count in collections.Counter(key.number for key in keys).items() if count > 1]
    if repeated:
        return f"the records {repeated} are read twice"
    if len(after.records) != len(before.records) + len(places):
        return f"{len(before.records)} records were there, and {len(after.records)} are after one was added"
    return differences({place.key.number: read_payload(place) for place in after.records}, promised)


def _needed(said: Sequence[str]) -> list[int]:
    forgotten = max(numbers(said, "FORGET"), default=0)
    return [number for number in numbers(said, "ACK") if number >= forgotten]


def _submit(commit: GroupCommit, group: range) -> None:
    for number in group:
        stored = threading.Event()
        commit.submit(entry(number), functools.partial(_stored, number, stored))
        if number % 3 == 0:
            stored.wait()


def _stored(number: int, stored: threading.Event, result: RecordPlace | OSError) -> None:
    if isinstance(result, RecordPlace):
        say(f"ACK {number}")
    stored.set()
