"""Publishes messages that must not be lost: each is stored first, and sent again until nobody needs it any more."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.data.store import Contents, DamagedRecord, Key, StoredQueue
from chunk_ppo_ros.nodes.wire.topics import Topic
from chunk_ppo_ros.rewards.delivery import Delivery

SENDING_PERIOD = 0.25
"""The time between two looks at what must be sent again, s of the steady clock."""
STORING_PERIOD = 1.0
"""The time after which a message that could not be stored is tried again, s of the steady clock."""


@dataclasses.dataclass(frozen=True)
class _Unstored:
    """A message that is not on disk yet, and what is called when it was published."""

    message: Any
    payload: bytes
    then: Callable[[], None]


class Outbox:
    """Stores messages, publishes each as soon as it survives a power cut, and repeats it until it is settled.

    Storing is done by a thread. Everything else is done by the executor of the node, which calls all methods. A message
    that cannot be stored, for example because the disk is full, stays in memory, is not published, and is tried again.

    Args:
        node: the node that publishes.
        topic: the topic.
        queue: the queue that keeps the messages, which is not opened yet.
        key_of: returns the identity of a message, by which it is settled.
        on_trouble: is called with the error when messages cannot be stored, and with None when they can be again.
        window: the number of messages that are sent again at a time, the oldest ones.
        keep_in_memory: whether messages are kept in memory too, so that sending one again waits for no disk.
    """

    def __init__(
        self,
        node: Node,
        topic: Topic,
        queue: StoredQueue,
        key_of: Callable[[Any], Key],
        *,
        on_trouble: Callable[[OSError | None], None] = lambda error: None,
        window: int = 8,
        keep_in_memory: bool = False,
    ) -> None:
        self._logger = node.get_logger()
        self._type = topic.message_type
        self._queue = queue
        self._key_of = key_of
        self._on_trouble = on_trouble
        self._delivery: Delivery[Key] = Delivery(window=window)
        self._keeps = keep_in_memory
        self._kept: dict[Key, Any] = {}  # the stored messages, where they are kept in memory too
        self._unstored: dict[Key, _Unstored] = {}
        self._failed: list[Key] = []  # those of `_unstored` that the disk refused
        self._retry_at = 0.0  # steady s
        self._error: OSError | None = None
        self._results: collections.deque[tuple[Key, OSError | None]] = collections.deque()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._publisher = topic.create_publisher(node)
        # EventsExecutor supports no guard conditions. A timer that is reset from any thread fires once instead.
        self._wake = node.create_timer(0.0, self._on_stored, clock=steady, autostart=False)
        node.create_timer(SENDING_PERIOD, lambda: self.send_due(time.monotonic()), clock=steady)

    @property
    def publisher(self) -> Publisher:
        """The publisher on the topic, for messages that need not be stored."""
        return self._publisher

    @property
    def error(self) -> OSError | None:
        """The error for which messages are not stored, or None."""
        return self._error

    def open(self) -> Contents:
        """Restores the messages that are not settled, which are sent again from now on. Returns all that is stored.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when the messages have another format.
        """
        contents = self._queue.open()
        for key in self._queue.pending():
            self._delivery.add(key, key)
            if self._keeps and (message := self._read(key)) is not None:
                self._kept[key] = message
        return contents

    def kept(self) -> tuple[Any, ...]:
        """Returns the messages that are kept in memory too, oldest first."""
        return tuple(self._kept.values())

    def put(self, message: Any, then: Callable[[], None] = lambda: None) -> bool:
        """Stores a message and then publishes it, unless one with the same identity is here already.

        Args:
            message: the message. It must not be changed any more.
            then: is called by the executor right after the message was published for the first time.

        Returns:
            Whether the message is new.
        """
        key = self._key_of(message)
        if key in self._unstored or key in self._delivery:
            return False
        self._unstored[key] = _Unstored(message, serialize_message(message), then)
        self._store(key)
        return True

    def settle(self, key: Key) -> bool:
        """Stops sending a message that nobody needs any more. Returns whether it was here.

        A message that was not published yet will not be.
        """
        known = self._unstored.pop(key, None) is not None
        self._kept.pop(key, None)
        known = self._delivery.settle(key) is not None or known
        return self._queue.settle(key) or known

    def pending(self) -> tuple[Key, ...]:
        """Returns the identities of all messages that are not settled, oldest first."""
        return (*self._delivery.payloads(), *self._unstored)

    def send_due(self, now: float) -> None:
        """Tries again to store what the disk refused, and publishes what is due. A timer calls this.

        Args:
            now: the time of the steady clock, s.
        """
        if self._failed and now >= self._retry_at:
            failed, self._failed = self._failed, []
            for key in failed:
                if key in self._unstored:
                    self._store(key)
        for key in self._delivery.pop_due(now):
            self.send_again(key)

    def send_again(self, key: Key) -> bool:
        """Publishes a stored message again, whether it is due or not. Returns whether it is here."""
        message = self._kept.get(key)
        if message is None and key in self._delivery:
            message = self._read(key)
        if message is not None:
            self._publisher.publish(message)
        return message is not None

    def close(self, *, publish: bool = False) -> None:
        """Stores what waits, and frees the store. It must be called before the node is destroyed.

        Args:
            publish: whether what waited is also published, without calling what was to be called then.
        """
        self._queue.close()
        while publish and self._results:
            key, error = self._results.popleft()
            if error is None and key in self._unstored:
                self._publisher.publish(self._unstored.pop(key).message)

    def _store(self, key: Key) -> None:
        self._queue.put(key, self._unstored[key].payload, lambda error: self._hand_over(key, error))

    def _hand_over(self, key: Key, error: OSError | None) -> None:
        """Is called in the thread of the store."""
        self._results.append((key, error))
        self._wake.reset()

    def _on_stored(self) -> None:
        self._wake.cancel()
        while self._results:
            key, error = self._results.popleft()
            if error is not None:
                self._failed.append(key)
                self._retry_at = time.monotonic() + STORING_PERIOD
            elif (stored := self._unstored.pop(key, None)) is not None:
                self._publisher.publish(stored.message)
                if self._keeps:
                    self._kept[key] = stored.message
                self._delivery.add(key, key, sent_at=time.monotonic())
                stored.then()
            self._tell_trouble(error)

    def _tell_trouble(self, error: OSError | None) -> None:
        if error is not None or not self._failed:
            changed = str(error) != str(self._error)
            self._error = error
            if changed:
                self._on_trouble(error)

    def _read(self, key: Key) -> Any | None:
        """Returns a stored message from the disk, or None where it cannot be read, which is logged."""
        try:
            payload = self._queue.read(key)
        except OSError as error:
            self._logger.error(f"a stored message cannot be read and is tried again: {error}")
        except DamagedRecord as error:
            self._logger.error(f"a stored message is not sent again: {error}")
            self._delivery.settle(key)
        else:
            return None if payload is None else deserialize_message(payload, self._type)
        return None
