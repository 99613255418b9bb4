"""The queue of messages that are sent again until they are settled."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.data.store import Key, Store, StoredQueue
from power_cut.case import Case, differences, numbers, payload, say

_NUM_MESSAGES = 16
_SEGMENT_BYTES = 2500
_NEW = 10_000
"""The number of the message that is put after a cut."""


class QueueCase(Case):
    """Puts messages and settles most of them, in two processes that end without closing."""

    name = "stored_queue"
    num_sessions = 2

    def write(self, folder: Path, session: int) -> None:
        """Says of a message that it is safe, and later that it is settled."""
        queue = _open(folder)
        for number in range(session * _NUM_MESSAGES, (session + 1) * _NUM_MESSAGES):
            _put(queue, number)
            say(f"ACK {number}")
            if number % 5:
                say(f"SETTLED {number}")
                queue.settle(_key(number))

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Opens the queue, and puts one more message. A settled message may be there again."""
        with contextlib.closing(_open(folder)) as queue:
            _put(queue, _NEW)
            found = {key.number: queue.read(key) or b"" for key in queue.pending()}
        needed = set(numbers(said, "ACK")) - set(numbers(said, "SETTLED")) | {_NEW}
        return differences(found, sorted(needed))


def _open(folder: Path) -> StoredQueue:
    store = Store(folder / "runs" / "store", name="case", run_id="run", segment_bytes=_SEGMENT_BYTES)
    queue = StoredQueue(store)
    queue.open()
    return queue


def _key(number: int) -> Key:
    return Key(1, "robot_0", number)


def _put(queue: StoredQueue, number: int) -> None:
    """Puts a message, and returns when it is safe.

    Raises:
        OSError: when it cannot be stored.
    """
    done, errors = threading.Event(), []

    def on_durable(error: OSError | None) -> None:
        errors.append(error)
        done.set()

    queue.put(_key(number), payload(number), on_durable)
    done.wait()
    if errors[0] is not None:
        raise errors[0]
