"""Stores what reward_node decides before anybody hears of it. docs/store.md lists what is stored."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.store import Contents, Entry, RecordPlace, Store
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import ChunkLedger
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Progress
from chunk_ppo_ros.rewards.episodes import EpisodeChange

OUTCOME, PROGRESS, TRANSITION = 1, 2, 3
"""The kinds of records: a ChunkOutcome, a `Progress` as JSON, and a Transition."""
SETTLED = 0x80
"""Is added to the kind of a record that settles another one. That of a transition holds the TransitionAck."""
RETRY_PERIOD = 1.0
"""The time after which the disk is tried again when it has refused something, s of the steady clock."""
_CLEANING_PERIOD = 10.0


class RunLog:
    """Stores outcomes, transitions and the progress of the run, and publishes when they survive a power cut.

    What happens within `whole` is stored by one write, so that a process that dies has done all of it or nothing.
    Outcomes count only if the progress after them is stored too. What the disk refuses waits in memory with everything
    that comes after it, and is tried again.

    Args:
        node: the node, whose logger is used.
        conditions: the conditions of the node.
        store: the store of reward_node, which is not opened yet.

    Attributes:
        ledger: the outcomes of the present run.
        find_progress: returns how far the run has come now, or None where there is no run.
    """

    def __init__(self, node: Node, conditions: Conditions, store: Store) -> None:
        self.ledger = ChunkLedger()
        self.find_progress: Callable[[], Progress | None] = lambda: None
        self._logger = node.get_logger()
        self._conditions = conditions
        self._store = store
        self._depth = 0
        self._entries: list[tuple[Entry, Callable[[RecordPlace], None]]] = []
        self._marks: list[Entry] = []
        self._actions: list[Callable[[], None]] = []
        self._changes: list[EpisodeChange] = []
        self._stored: Progress | None = None
        self._progress_index = 0
        self._retry_at: float | None = None
        self._cleaned = float("-inf")

    @property
    def is_blocked(self) -> bool:
        """Whether the disk refuses what is to be stored."""
        return self._retry_at is not None

    def open(self) -> Contents:
        """Locks the store, and returns what it holds.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when the messages have another format.
        """
        return self._store.open()

    def begin_run(self, run_id: str, ledger: ChunkLedger) -> None:
        """Goes on with a run, of which an earlier process knows the outcomes in `ledger`.

        What was decided about the run before is stored and published first, as far as the disk allows it.
        """
        self._try_to_store()
        for action in self._actions:
            action()
        try:
            self._store.begin_run(run_id)
        except OSError as error:  # The segment of the run before is not synced; the next one is another file.
            self._logger.error(f"what was decided about the run before may not be stored: {error}")
        self.ledger, self._stored, self._progress_index = ledger, None, 0
        self._entries, self._marks, self._actions, self._changes = [], [], [], []

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Stores together what happens in this context, and then publishes it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self._commit()

    def whole_call(self, function: Callable[..., None]) -> Callable[..., None]:
        """Returns a function whose effects are stored together.

        It has the signature of the function, by which rclpy decides what it calls it with.
        """

        @functools.wraps(function)
        def call(*arguments: object) -> None:
            with self.whole():
                function(*arguments)

        return call

    def publish(self, action: Callable[[], None]) -> None:
        """Calls a function that publishes something, when all that was decided before is stored."""
        self._actions.append(action)
        self._commit()

    def publish_changes(self, changes: Sequence[EpisodeChange], action: Callable[[], None]) -> None:
        """Does the same with changes of an episode, which are published again where this process dies before."""
        self._changes += changes
        self.publish(action)

    def store_outcome(self, outcome: msg.ChunkOutcome) -> None:
        """Stores an outcome, which is known from now on."""
        self.ledger.add_outcome(outcome)

        def note(place: RecordPlace) -> None:
            known = self.ledger.find(outcome.sequence_number)
            if known is not None and known.outcome is outcome:
                known.index = place.index

        self._append(OUTCOME, outcome.sequence_number, outcome, note)

    def store_transition(self, transition: msg.Transition) -> None:
        """Stores a transition."""
        self._append(TRANSITION, transition.chunk.sequence_number, transition, self.ledger.add_transition)

    def settle(self, acknowledgment: msg.TransitionAck) -> None:
        """Records the final answer to a transition. A power cut may lose this, and the transition is sent again."""
        self.ledger.add_acknowledgment(acknowledgment)
        payload = serialize_message(acknowledgment)
        self._marks.append(Entry(TRANSITION | SETTLED, DEFAULT_SENDER, acknowledgment.sequence_number, payload))

    def tick(self, now: float) -> None:
        """Tries again what the disk has refused, and removes what nobody needs. `now` is the steady time, s."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = now + RETRY_PERIOD
            self._try_to_store()
        if now - self._cleaned >= _CLEANING_PERIOD and not self.is_blocked:
            self._cleaned = now
            self._clean()

    def close(self) -> None:
        """Stores what is not stored yet, and frees the store."""
        self._commit()
        try:
            self._store.close()
        except OSError as error:
            self._logger.error(f"the store of reward_node cannot be closed: {error}")

    def _append(self, kind: int, number: int, message: object, note: Callable[[RecordPlace], None]) -> None:
        self._entries.append((Entry(kind, DEFAULT_SENDER, number, serialize_message(message)), note))
        self._commit()

    def _commit(self) -> None:
        if self._depth == 0 and not self.is_blocked:
            self._try_to_store()

    def _try_to_store(self) -> None:
        entries, progress = list(self._entries), self._new_progress()
        if progress is not None:
            entries.append((_progress_entry(progress), self._note_progress))
        marks = [(mark, _ignore) for mark in self._marks]
        try:
            if entries or marks:
                places = self._store.append([entry for entry, _ in (*marks, *entries)], sync=bool(entries))
        except OSError as error:
            self._retry_at = self._retry_at if self._retry_at is not None else 0.0
            self._conditions.raise_condition(condition_table.DECISIONS_NOT_STORED, reason=str(error))
            return
        if self._retry_at is not None:
            self._retry_at = None
            self._conditions.clear_condition(condition_table.DECISIONS_NOT_STORED)
        for place, (_, note) in zip(places if entries or marks else [], (*marks, *entries), strict=True):
            note(place)
        self._stored = progress or self._stored
        actions, self._actions = self._actions, []
        self._entries, self._marks, self._changes = [], [], []
        for action in actions:
            action()

    def _new_progress(self) -> Progress | None:
        """Returns how far the run has come, or None where that is stored already."""
        progress = self.find_progress()
        if progress is None:
            return None
        changed = self._stored is None or progress != dataclasses.replace(self._stored, changes=())
        has_outcome = any(entry.kind == OUTCOME for entry, _ in self._entries)
        if not (changed or has_outcome or self._changes):
            return None
        return dataclasses.replace(progress, changes=tuple(self._changes))

    def _note_progress(self, place: RecordPlace) -> None:
        self._progress_index = place.index

    def _clean(self) -> None:
        oldest = self.ledger.oldest_index()
        needed = self._progress_index if oldest is None else min(oldest, self._progress_index)
        try:
            self._store.remove_segments(needed)
        except OSError as error:
            self._logger.error(f"segments of the store that nobody needs cannot be removed: {error}")


def _progress_entry(progress: Progress) -> Entry:
    return Entry(PROGRESS, DEFAULT_SENDER, max(progress.standing.episode, 0), progress.to_json())


def _ignore(place: RecordPlace) -> None:
    pass
