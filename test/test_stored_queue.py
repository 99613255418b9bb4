"""Tests of the queue that keeps messages on disk until they are settled."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from chunk_ppo_ros.data.store import Key, Store, StoredQueue
from chunk_ppo_ros.data.store.segment_file import list_segments


def opened(folder: Path, **options: int) -> StoredQueue:
    queue = StoredQueue(Store(folder, name="test", **options))
    queue.open()
    return queue


def key(number: int) -> Key:
    return Key(kind=1, sender="robot_0", number=number)


def put(queue: StoredQueue, number: int) -> OSError | None:
    """Stores a message and waits until it is durable. Returns the error for which it is not."""
    done = threading.Event()
    results: list[OSError | None] = []
    queue.put(key(number), b"message %d" % number, lambda error: (results.append(error), done.set()))
    assert done.wait(10.0)
    return results[0]


def test_what_is_not_settled_is_there_after_a_restart(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    assert [put(queue, number) for number in range(4)] == [None] * 4
    assert queue.settle(key(1)) and queue.settle(key(3))
    assert queue.pending() == (key(0), key(2))
    queue.close()
    queue = opened(tmp_path)
    assert queue.pending() == (key(0), key(2))
    assert queue.read(key(2)) == b"message 2" and queue.read(key(1)) is None
    queue.close()


def test_a_message_is_queued_once(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    assert put(queue, 0) is None
    assert not queue.put(key(0), b"again", lambda error: None)
    assert queue.read(key(0)) == b"message 0"
    assert queue.settle(key(0)) and not queue.settle(key(0))
    queue.close()


def test_a_message_that_is_settled_before_it_is_stored_is_not_kept(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    started, go_on = threading.Event(), threading.Event()
    queue.put(key(0), b"first", lambda error: (started.set(), go_on.wait(10.0)))
    assert started.wait(10.0)
    queue.put(key(1), b"second", lambda error: None)
    assert queue.settle(key(1))
    go_on.set()
    queue.close()
    queue = opened(tmp_path)
    assert queue.pending() == (key(0),)
    queue.close()


def test_segments_with_settled_messages_only_are_removed(tmp_path: Path) -> None:
    queue = opened(tmp_path, segment_bytes=200)
    for number in range(20):
        assert put(queue, number) is None
        assert number == 7 or queue.settle(key(number))
    assert put(queue, 20) is None
    assert int(list_segments(tmp_path)[0].stem) > 0  # those before message 7 are gone
    queue.settle(key(7))
    queue.close()
    assert len(list_segments(tmp_path)) <= 2
    queue = opened(tmp_path)
    assert queue.pending() == (key(20),)
    queue.close()


def test_a_full_disk_is_told_and_the_message_can_be_put_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = opened(tmp_path)

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fdatasync", fail)
    assert "full" in str(put(queue, 0))
    assert queue.pending() == ()
    monkeypatch.undo()
    assert put(queue, 0) is None
    assert queue.pending() == (key(0),)
    queue.close()


def test_kinds_above_127_are_refused(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    with pytest.raises(ValueError, match="a kind of 0 to 127, got 128"):
        queue.put(Key(128, "", 0), b"", lambda error: None)
    queue.close()
