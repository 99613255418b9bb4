"""Tests of the outbox that stores messages, publishes them, and repeats them until they are settled."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.data.store import Key, Store, StoredQueue, read_store
from chunk_ppo_ros.data.store.segment_file import list_segments
from chunk_ppo_ros.nodes.common import outbox
from chunk_ppo_ros.nodes.common.outbox import STORING_PERIOD, Outbox
from chunk_ppo_ros.nodes.wire import topics
from support.fake_node import FakeNode, SteadyClock
from support.patience import PATIENCE


def key_of(message: msg.TaskReward) -> Key:
    return Key(1, message.sender, message.header.stamp.nanosec)


def key(number: int) -> Key:
    return Key(1, "robot_0", number)


def reward(number: int) -> msg.TaskReward:
    message = msg.TaskReward(sender="robot_0")
    message.header.stamp.nanosec = number
    return message


class Rig:
    """An outbox of task rewards, and what it published and did."""

    def __init__(self, folder: Path, clock: SteadyClock, **options: Any) -> None:
        self.node, self.clock = FakeNode(), clock
        self.troubles: list[str | None] = []
        self.published: list[int] = []
        self.outbox = Outbox(
            self.node,  # type: ignore[arg-type]
            topics.TASK_REWARD,
            StoredQueue(Store(folder, name="test")),
            key_of,
            on_trouble=lambda error: self.troubles.append(error and error.strerror),
            **options,
        )
        self.outbox.open()

    def put(self, number: int) -> None:
        """Puts a message, and waits until the thread of the store has done what it can do."""
        assert self.outbox.put(reward(number), lambda: self.published.append(number))
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.node.timers[0].is_due:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        self.node.timers[0].on_time()

    def taken(self) -> list[int]:
        """Returns the numbers of the messages that were published since the last call."""
        return [message.header.stamp.nanosec for message in self.node.published("task_reward")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(outbox, "time", clock)
    return clock


def fail(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_a_message_is_stored_before_it_is_published(tmp_path: Path, clock: SteadyClock) -> None:
    rig = Rig(tmp_path, clock)
    rig.outbox.put(reward(5), lambda: rig.published.append(5))
    assert rig.taken() == [] and rig.published == []
    rig.wait()
    assert [place.key for place in read_store(tmp_path).records] == [key(5)]
    assert rig.taken() == [5] and rig.published == [5]
    rig.outbox.close()


def test_a_message_is_repeated_until_it_is_settled(tmp_path: Path, clock: SteadyClock) -> None:
    rig = Rig(tmp_path, clock)
    rig.put(1)
    rig.put(2)
    assert not rig.outbox.put(reward(2))  # It is here already.
    assert rig.taken() == [1, 2]
    rig.outbox.send_due(clock.now + 0.9)
    assert rig.taken() == []
    rig.outbox.send_due(clock.now + 1.0)
    assert rig.taken() == [1, 2]
    assert rig.outbox.settle(key(1)) and not rig.outbox.settle(key(1))
    rig.outbox.send_due(clock.now + 30.0)
    assert rig.taken() == [2]
    assert rig.outbox.pending() == (key(2),)
    rig.outbox.close()


def test_what_is_not_settled_is_sent_again_after_a_restart(tmp_path: Path, clock: SteadyClock) -> None:
    first = Rig(tmp_path, clock)
    for number in range(3):
        first.put(number)
    first.outbox.settle(key(1))
    first.outbox.close()
    second = Rig(tmp_path, clock)
    assert second.outbox.pending() == (key(0), key(2))
    second.outbox.send_due(clock.now)
    assert second.taken() == [0, 2]
    assert not second.outbox.put(reward(2))
    second.outbox.close()


def test_a_full_window_holds_up_repetitions_and_no_first_publication(tmp_path: Path, clock: SteadyClock) -> None:
    rig = Rig(tmp_path, clock, window=2)
    for number in range(4):
        rig.put(number)
    assert rig.taken() == [0, 1, 2, 3]
    rig.outbox.send_due(clock.now + 2.0)
    assert rig.taken() == [0, 1]
    rig.outbox.settle(key(0))
    rig.outbox.settle(key(1))
    rig.outbox.send_due(clock.now + 2.0)
    assert rig.taken() == [2, 3]
    rig.outbox.close()


def test_on_a_full_disk_messages_wait_in_memory_and_are_stored_when_there_is_room(
    tmp_path: Path, clock: SteadyClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, clock)
    monkeypatch.setattr(os, "fdatasync", fail)
    rig.put(1)
    rig.put(2)
    assert rig.taken() == [] and rig.published == []
    assert rig.troubles == ["full"] and rig.outbox.error is not None
    monkeypatch.undo()
    monkeypatch.setattr(outbox, "time", clock)
    rig.outbox.send_due(clock.now + STORING_PERIOD / 2)
    assert not rig.node.timers[0].is_due
    rig.outbox.send_due(clock.now + STORING_PERIOD)
    while rig.published != [1, 2]:
        rig.wait()
    assert rig.taken() == [1, 2] and rig.troubles == ["full", None] and rig.outbox.error is None
    rig.outbox.close()


def test_a_message_that_was_damaged_on_the_disk_is_told_and_not_sent(tmp_path: Path, clock: SteadyClock) -> None:
    rig = Rig(tmp_path, clock)
    rig.put(1)
    rig.put(2)
    (path,) = list_segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[read_store(tmp_path).records[0].payload_offset] ^= 1
    path.write_bytes(data)
    rig.taken()
    rig.outbox.send_due(clock.now + 1.0)
    assert rig.taken() == [2]
    assert [level for level, text in rig.node.take_lines() if "is not sent again" in text] == ["error"]
    rig.outbox.close()
