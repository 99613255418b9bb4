"""Runs `make bench-store`: counts the records a second of the store and of the journal without syncs, side by side.

Disks and shared machines differ from one minute to the next. So the ways take turns in rounds, and the medians of their
rates and of their ratios within a round are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from power_cut.unsynced_journal import UnsyncedJournal

from chunk_ppo_ros.data.store import Entry, GroupCommit, RecordPlace, Store
from store_speed.folders import made_folder

SIZES = {"452 kB": (452_000, 200), "37 kB": (37_000, 1000)}
"""The payloads and how many of each are written in a round. A transition with three 224x224 images has 452 kB."""

UNSYNCED = "unsynced journal of 704d3cf"
GROUPED = "store, as trainer_node uses it"
WINDOW = 32
"""The number of records that wait at a time: four senders send eight each before they are acknowledged."""

MIN_RATIO, MIN_RATE = 0.8, 300.0  # either is enough; records/s
GROUP = 8


@dataclasses.dataclass(frozen=True)
class Rates:
    """The records a second of each way in each round, for one size."""

    size: str
    by_way: dict[str, list[float]]

    def median(self, way: str) -> float:
        """Returns the median rate of a way, records/s."""
        return statistics.median(self.by_way[way])

    def ratio(self, way: str) -> float:
        """Returns the median of the ratios of a way to the journal without syncs, each within a round."""
        return statistics.median(a / b for a, b in zip(self.by_way[way], self.by_way[UNSYNCED], strict=True))

    @property
    def enough(self) -> bool:
        """Whether the store keeps up with the journal without syncs, or with many robots."""
        return self.ratio(GROUPED) >= MIN_RATIO or self.median(GROUPED) > MIN_RATE

    def lines(self) -> list[str]:
        """Returns the rows of a table."""
        return [f"| {self.size} | {way} | {self.median(way):.0f} | {self.ratio(way):.2f} |" for way in self.by_way]


def _unsynced(folder: pathlib.Path, payloads: Sequence[bytes]) -> None:
    journal = UnsyncedJournal(folder)
    for number, payload in enumerate(payloads):
        journal.add(payload, version=0, sequence_number=number)


def _in_groups(folder: pathlib.Path, payloads: Sequence[bytes], size: int) -> None:
    with _opened(folder) as store:
        for first in range(0, len(payloads), size):
            store.append([_entry(number, payloads[number]) for number in range(first, first + size)])


def _grouped(folder: pathlib.Path, payloads: Sequence[bytes]) -> None:
    """Submits records as the senders of transitions do: each waits for acknowledgments of what it has sent."""
    free, errors = threading.Semaphore(WINDOW), []

    def on_stored(result: RecordPlace | OSError) -> None:
        errors.extend([result] if isinstance(result, OSError) else [])
        free.release()

    with _opened(folder) as store:
        commit = GroupCommit(store, max_records=GROUP)
        for number, payload in enumerate(payloads):
            free.acquire()
            commit.submit(_entry(number, payload), on_stored)
        commit.close()
    if errors:
        raise errors[0]


def _opened(folder: pathlib.Path) -> contextlib.closing[Store]:
    store = Store(folder, name="journal", run_id="bench")
    store.open()
    return contextlib.closing(store)


def _entry(number: int, payload: bytes) -> Entry:
    return Entry(1, "robot_0", number, payload)


WAYS: dict[str, Callable[[pathlib.Path, Sequence[bytes]], None]] = {
    UNSYNCED: _unsynced,
    "store, a sync for each record": lambda folder, payloads: _in_groups(folder, payloads, 1),
    f"store, a sync for {GROUP} records": lambda folder, payloads: _in_groups(folder, payloads, GROUP),
    GROUPED: _grouped,
}


def measure(size: str, *, rounds: int, share: float, folder: pathlib.Path | None) -> Rates:
    """Returns the rates of all ways for one size. The ways take turns, and begin with another one in each round."""
    num_bytes, count = SIZES[size]
    count = max(GROUP, int(count * share) // GROUP * GROUP)
    source = np.random.default_rng(0)
    payloads = [source.bytes(num_bytes) for _ in range(count)]
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in (list(WAYS) * 2)[turn % len(WAYS) :][: len(WAYS)]:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                started = time.perf_counter()
                WAYS[way](pathlib.Path(place), payloads)
                rates[way].append(count / (time.perf_counter() - started))
    return Rates(size, rates)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, and returns 1 where the store is too slow."""
    parser = argparse.ArgumentParser(prog="bench-store", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--share", type=float, default=1.0, help="share of the records of a round, to measure less")
    parser.add_argument(
        "--folder", type=made_folder, help="folder on the disk to measure; else that of temporary files"
    )
    options = parser.parse_args(arguments)
    print("| payload | way | records/s | ratio |\n|---|---|---|---|")
    measured = []
    for size in SIZES:
        measured.append(measure(size, rounds=options.rounds, share=options.share, folder=options.folder))
        print("\n".join(measured[-1].lines()), flush=True)
    enough = all(rates.enough for rates in measured)
    print(f"store_fast_enough={str(enough).lower()} (ratio of at least {MIN_RATIO}, or more than {MIN_RATE:.0f}/s)")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
