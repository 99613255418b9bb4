"""Sends reports on chunks, such as results and rewards, until reward_node has published the outcome of the chunk.

A report is stored before it is sent. The node that reports may control a robot, so that nothing here waits for a disk:
a thread stores, and what is sent again is kept in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.store import Key, Store, StoredQueue
from chunk_ppo_ros.data.store.stored_queue import message_key
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.outbox import Outbox
from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.message_head import read_head
from chunk_ppo_ros.nodes.wire.topics import Topic

MAX_REPORTS = 256
"""The number of reports without an outcome that are kept. Nobody answers what a human drives outside of an episode."""
OPENING_PERIOD = 1.0
"""The time after which a store that cannot be opened, as on a full disk, is tried again, s."""

REPORT = 1
"""The kind of a report in its store."""


def key_of_report(message: Any) -> Key:
    """Returns the identity of a report that has a header and a sender."""
    return Key(REPORT, message.sender, time_to_ns(message.header.stamp))


class ReportOutbox:
    """Stores the reports of one node, and sends each until the outcome of its chunk is known.

    It is made by the node, and its methods are called by the executor of the node. Only an outcome of the report's run
    and robot that comes from reward_node settles a report.

    Args:
        node: the node that reports.
        topic: the topic of the reports, whose messages have a header, a run_id and a sender.
        folder: the folder of the store.
        conditions: the conditions of the node.
        key_of: returns the identity of a report. Its number is the stamp of the chunk.
        on_open: is called once with the keys of all reports that an earlier process has stored, as far as they are
            still on disk. Some of them may have an outcome since.

    Attributes:
        guard: leaves out what other nodes than the right ones say. The node may use it for other topics too.
    """

    def __init__(
        self,
        node: Node,
        topic: Topic,
        folder: Path,
        conditions: Conditions,
        *,
        key_of: Callable[[Any], Key] = key_of_report,
        on_open: Callable[[frozenset[Key]], None] = lambda keys: None,
    ) -> None:
        self._logger = node.get_logger()
        self._conditions = conditions
        self._topic = topic.name
        self._key_of = key_of
        self._on_open = on_open
        self._queue = StoredQueue(Store(folder, name=folder.name))
        self._outbox = Outbox(
            node, topic, self._queue, key_of, on_trouble=self._tell, window=MAX_REPORTS, keep_in_memory=True
        )
        self._is_open, self._is_closed = False, False
        self._early: list[tuple[Any, Callable[[], None]]] = []  # put before the store was opened
        self._runs: dict[Key, str] = {}  # the run of each report that has no outcome yet
        self._old: set[Key] = set()  # those that had none at the last reset
        self._newest_reset = -1  # the stamp of the last reset, ns
        self._found: frozenset[Key] = frozenset()  # what an earlier process has stored
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._wake = node.create_timer(0.0, self._on_opened, clock=clock, autostart=False)
        self.guard = PublisherGuard(node, conditions)
        node.create_timer(LOOK_PERIOD, self.guard.watch, clock=clock)
        on_outcome = self.guard.only_from_one(topics.CHUNK_OUTCOME.name, self._on_outcome)
        topics.CHUNK_OUTCOME.create_raw_subscription(node, on_outcome)

    @property
    def publisher(self) -> Publisher:
        """The publisher on the topic, for reports that need not be stored."""
        return self._outbox.publisher

    def open(self) -> None:
        """Restores the reports of an earlier process. Where the disk fails, a thread tries again until it does not.

        Raises:
            StoreLocked: when another process writes the store.
            UserError: when the messages have another format.
        """
        try:
            self._restore()
        except OSError as error:
            self._tell(error)
            threading.Thread(target=self._keep_opening, name=f"{self._topic} store", daemon=True).start()
        else:
            self._on_opened()

    def put(self, message: Any, then: Callable[[], None] = lambda: None) -> None:
        """Stores a report, and then sends it, unless a report on the same chunk is here already.

        Args:
            message: the report. It must not be changed any more.
            then: is called when the report is stored and was sent for the first time.
        """
        if not self._is_open:
            self._early = [*self._early[-MAX_REPORTS:], (message, then)]
        elif self._outbox.put(message, then):
            self._runs[self._key_of(message)] = message.run_id
            self._limit()

    def keep(self, message: Any, payload: bytes) -> None:
        """Stores a report that this process does not send. Only a later one does, unless `drop` is called before.

        Args:
            message: the report.
            payload: the report as it is serialized.
        """
        if self._is_open:
            self._queue.put(self._key_of(message), payload, lambda error: None)

    def drop(self, key: Key) -> None:
        """Takes a report back that nobody needs any more."""
        self._runs.pop(key, None)
        if self._is_open:
            self._outbox.settle(key)

    def send_again(self, stamp: int) -> bool:
        """Sends the reports on a chunk again at once. Returns whether there are any."""
        sent = [self._outbox.send_again(key) for key in self._runs if key.number == stamp]
        return any(sent)

    def note_run(self, run_id: str) -> None:
        """Drops the reports of other runs than the present one."""
        for key in [key for key, run in self._runs.items() if run not in ("", run_id)]:
            self.drop(key)

    def note_reset(self, stamp: int) -> None:
        """Drops the reports that had no outcome at the reset before this one: nobody waits for them any more.

        Args:
            stamp: the stamp of the reset, ns. A reset that is received again changes nothing.
        """
        if stamp != self._newest_reset:
            self._newest_reset = stamp
            for key in self._old & set(self._runs):
                self.drop(key)
            self._old = set(self._runs)

    def close(self) -> None:
        """Stores and sends what waits, and frees the store."""
        self._is_closed = True
        if self._is_open:
            self._outbox.close(publish=True)

    def _restore(self) -> None:
        """Opens the store. A thread may do it, because nothing else uses the store before."""
        contents = self._outbox.open()
        self._runs |= {self._key_of(message): message.run_id for message in self._outbox.kept()}
        self._found = frozenset(message_key(place.key) for place in contents.records)
        for hole in contents.holes:
            self._logger.error(f"reports on {self._topic} may be lost: {hole}")

    def _keep_opening(self) -> None:
        while not self._is_closed:
            time.sleep(OPENING_PERIOD)
            try:
                self._restore()
            except (OSError, UserError):
                continue
            self._wake.reset()
            return

    def _on_opened(self) -> None:
        self._wake.cancel()
        self._is_open = True
        self._tell(None)
        self._on_open(self._found)
        early, self._early = self._early, []
        for message, then in early:
            self.put(message, then)

    def _on_outcome(self, data: bytes) -> None:
        head = read_head(data)
        if head is None:
            return
        for key, run in list(self._runs.items()):
            is_same = key.sender in ("", head.sender) and run in ("", head.run_id)  # A source may tell neither.
            if key.number == head.stamp and is_same:
                self.drop(key)

    def _limit(self) -> None:
        if len(self._runs) > MAX_REPORTS:
            oldest = min(self._runs, key=lambda key: key.number)
            self._logger.error(
                f"the report of stamp {oldest.number} on {self._topic} is dropped: nobody has answered {MAX_REPORTS} "
                "later ones; look whether reward_node runs"
            )
            self.drop(oldest)

    def _tell(self, error: OSError | None) -> None:
        if error is None:
            self._conditions.clear_condition(condition_table.REPORT_NOT_STORED, topic=self._topic)
        else:
            self._conditions.raise_condition(
                condition_table.REPORT_NOT_STORED, topic=self._topic, reason=error.strerror or str(error)
            )
