"""Keeps the transitions of a run on disk, and knows which of them no update has trained on."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.data.journal_index import DISCARDED, LEFT_OUT, TRANSITION, JournalIndex
from chunk_ppo_ros.data.store import Contents, Entry, GroupCommit, RecordPlace, Store
from chunk_ppo_ros.data.store.segment_file import first_index_of, list_segments
from chunk_ppo_ros.data.store.store import SEGMENT_BYTES

NAME = "journal"
"""The name of the store, and of its folder in the folder `store` of a run."""

OnDurable = Callable[[OSError | None], None]
"""The type of what is called in the thread of the store when a record survives a power cut, or with the error for which
it is not stored. It must not raise."""


class RolloutJournal:
    """The transitions of a run that trainer_node accepted, and marks for those that no update takes.

    A transition stays after it was trained on, so that the run can go back to an earlier checkpoint, and so that its
    updates can be made again. Which ones were trained on is not written here. The checkpoint that a run goes on from
    says it, so that both never disagree.

    Methods may be called from any thread.

    Args:
        folder: the folder of the store.
        segment_bytes: the length from which on a new file is begun, bytes.

    Attributes:
        folder: the folder of the store.
        run_id: the run whose transitions count, or an empty string before `begin_run`.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._store = Store(folder, name=NAME, segment_bytes=segment_bytes)
        self.run_id = ""
        self._commit: GroupCommit | None = None
        self._contents = Contents()
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._unwritten: list[Entry] = []  # marks that the disk refused; the thread of the store alone uses them
        self._index = JournalIndex()
        self._consumed = NOTHING_CONSUMED

    def open(self) -> Contents:
        """Locks the folder, so that no other process writes it, and returns what it holds.

        A transition whose bytes were changed on the disk is found when it is read, so that a large journal is not read
        as a whole.

        Raises:
            StoreLocked: when another trainer of the run holds the folder.
            OSError: when a file cannot be read.
            UserError: when another version of the package wrote the transitions.
        """
        self._contents = self._store.open(check_payloads=False)
        return self._contents

    def begin_run(self, run_id: str, consumed: Consumed) -> None:
        """Takes the transitions of a run, as the checkpoint that it goes on from knows them.

        Transitions of other runs in the folder stay on disk and do not count.

        Raises:
            OSError: when the disk does not take a new file.
        """
        self._store.begin_run(run_id)
        self.run_id = run_id
        self._commit = GroupCommit(self._store)
        with self._lock:
            self._index = JournalIndex.of(self._contents, run_id)
            self._consumed = consumed
        self._contents = Contents()

    def add(self, key: ChunkKey, message: bytes, on_durable: OnDurable) -> None:
        """Stores a serialized transition.

        Raises:
            ValueError: when its sender or number does not fit the format.
        """
        self._submit(Entry(TRANSITION, *key, message), on_durable)

    def leave_out(self, key: ChunkKey, reason: str, on_durable: OnDurable) -> None:
        """Marks a transition as one that no update takes. The mark holds for every checkpoint that is resumed.

        Args:
            key: the transition.
            reason: why, in words.
            on_durable: is called when the mark is stored.
        """
        with self._lock:
            self._index.left_out.add(key)
        self._submit(Entry(LEFT_OUT, *key, json.dumps({"reason": reason}).encode()), on_durable)

    def exclude(self, key: ChunkKey) -> None:
        """Leaves a transition out for as long as this process runs. Nothing is written."""
        with self._lock:
            self._index.left_out.add(key)

    def discard(self, sender: str, episode: int, on_durable: OnDurable) -> None:
        """Marks an episode as discarded by its operator. No update takes its transitions, also later ones."""
        with self._lock:
            self._index.discarded.add((sender, episode))
        self._submit(Entry(DISCARDED, sender, episode, b""), on_durable)

    def mark_consumed(self, consumed: Consumed) -> None:
        """Takes note of what the run has trained on, when the checkpoint that says so is on disk."""
        with self._lock:
            self._consumed = consumed

    def waiting(self) -> tuple[ChunkKey, ...]:
        """Returns the stored transitions that no update took and that are not left out, by sender and number."""
        with self._lock:
            consumed, left_out = self._consumed.chunks, self._index.left_out
            return tuple(sorted(key for key in self._index.places if key not in consumed and key not in left_out))

    def keys(self) -> tuple[ChunkKey, ...]:
        """Returns all stored transitions of the run, whatever became of them."""
        with self._lock:
            return tuple(self._index.places)

    def is_consumed(self, key: ChunkKey) -> bool:
        """Returns whether the run has trained on a transition."""
        return key in self._consumed.chunks

    def has(self, key: ChunkKey) -> bool:
        """Returns whether a transition was accepted before: it is stored, or the run has trained on it."""
        return key in self._index.places or key in self._consumed.chunks

    def is_left_out(self, key: ChunkKey) -> bool:
        """Returns whether no update takes a transition, because `leave_out` said so."""
        return key in self._index.left_out

    def is_discarded(self, sender: str, episode: int) -> bool:
        """Returns whether an episode was discarded."""
        return (sender, episode) in self._index.discarded

    def read(self, key: ChunkKey) -> bytes | None:
        """Returns a serialized transition, or None where it is not stored, or not any more.

        Raises:
            OSError: when the file cannot be read.
            DamagedRecord: when its bytes were changed on the disk.
        """
        with self._lock:
            place = self._index.places.get(key)
        try:
            return None if place is None else self._store.read(place)
        except FileNotFoundError:  # The oldest files are removed when the budget of the disk asks for it.
            return None

    def next_sequence_number(self, sender: str) -> int:
        """Returns a number above all numbers of a sender that the journal or the run's updates have seen."""
        with self._lock:
            highest = self._consumed.chunks.highest(sender), self._index.newest.get(sender)
        return max((number for number in highest if number is not None), default=-1) + 1

    @property
    def is_pruned(self) -> bool:
        """Whether the oldest files were removed, so that the journal does not begin with its first record."""
        return any(first_index_of(path) > 0 for path in list_segments(self.folder)[:1])

    @property
    def num_bytes(self) -> int:
        """The length of all files together, bytes."""
        return self._store.num_bytes

    def remove_oldest(self, *, max_bytes: int, rollback_to: int | None = None) -> list[Path]:
        """Removes the oldest files until the rest is no larger than a budget, and returns their paths.

        A file stays with a transition that waits for an update, or that the newest update took, and so do all later
        files and the newest one. So a run whose newest checkpoint is damaged goes on from the one before without loss.

        Args:
            max_bytes: the budget, bytes.
            rollback_to: the policy version of the oldest checkpoint to which the run may be taken back. What was
                trained on after it stays too, because it then waits again. None is the version before the newest
                update.

        Raises:
            OSError: when a file cannot be removed.
        """
        if self._store.num_bytes <= max_bytes:
            return []
        needed = {*self.waiting(), *self._consumed.newest_update}
        if rollback_to is not None:
            needed.update(self._consumed.taken_after(rollback_to))
        with self._lock:
            places = self._index.places
            first_needed = min((places[key].index for key in needed if key in places), default=2**64)
        paths = list_segments(self.folder)
        total, before = self._store.num_bytes, 0
        for path, following in itertools.pairwise(paths):
            if total <= max_bytes:
                break
            total -= path.stat().st_size
            before = first_index_of(following)
        return self._store.remove_segments(min(before, first_needed))

    def close(self) -> None:
        """Stores what waits, and frees the folder. A journal that is not open stays so.

        Raises:
            OSError: when the newest records cannot be synced. Nobody was told that they are stored.
        """
        with self._closing:
            if self._commit is not None:
                self._commit.close()
                self._commit = None
            self._store.close()

    def _submit(self, entry: Entry, on_durable: OnDurable) -> None:
        if self._commit is None:
            raise RuntimeError(f"the journal in {self.folder} must be opened and begun before it is used")

        def on_stored(result: RecordPlace | OSError) -> None:
            if isinstance(result, OSError):
                self._unwritten += [] if entry.kind == TRANSITION else [entry]
                on_durable(result)
                return
            self._write_marks_again()
            if entry.kind == TRANSITION:
                with self._lock:
                    self._index.add(result)
            on_durable(None)

        self._commit.submit(entry, on_stored)

    def _write_marks_again(self) -> None:
        """Stores marks that the disk refused before, because nobody repeats them as a transition is repeated."""
        with contextlib.suppress(OSError):  # They are tried again after the next record.
            if self._unwritten:
                self._store.append(self._unwritten)
                self._unwritten = []
