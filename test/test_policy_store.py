"""Tests what policy_node keeps on disk: which chunks a new process finds, sends again and numbers after."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.episode_progress import EpisodeProgress
from chunk_ppo_ros.agent.next_step.rollout_fill import InFlight
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import SampleChunk
from chunk_ppo_ros.agent.next_step.stored_rollout import HOLE_GAP, OpenSegment, StoredRollout
from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.store import StoreLocked, read_store
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.nodes.policy.chunk_repeater import ANSWER_TIME, FIRST_DELAY, MAX_DELAY, ChunkRepeater
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors
from support.fake_node import FakeNode

HORIZON = 4


def message_of(number: int, *, episode: int = 0, run_id: str = "run", human: bool = False) -> msg.ActionChunk:
    return msg.ActionChunk(
        header=header_of(1000 + number),
        run_id=run_id,
        sender="robot_0",
        sequence_number=number,
        episode=episode,
        chunk=number,
        policy_version=3,
        horizon=HORIZON,
        action_dim=14,
        actions=np.full(HORIZON * 14, number, np.float32),
        num_steps_asked=HORIZON,
        human=human,
    )


class Disk:
    """The store of a policy_node, and what the node does with it. `killed` is what the next process finds."""

    def __init__(self, folder: Path, *, segment_bytes: int = 2**20) -> None:
        self.folder, self.node, self._segment_bytes = folder, FakeNode(), segment_bytes
        self.store = PolicyStore(folder, self.node.get_logger(), segment_bytes=segment_bytes)  # type: ignore[arg-type]
        self.stored = self.store.open()
        self.progress = self.stored.progress

    def killed(self) -> Disk:
        """Returns what another process finds if this one is killed now."""
        copy = self.folder.with_name(f"policy_{len(list(self.folder.parent.iterdir()))}")
        shutil.copytree(self.folder, copy)
        return Disk(copy, segment_bytes=self._segment_bytes)

    def sample(self, number: int, *, run_id: str = "run", stamp: int | None = None, human: bool = False) -> None:
        message = message_of(number, run_id=run_id, human=human)
        message.header = header_of(1000 + number if stamp is None else stamp)
        self.store.begin_run(run_id)
        step = SampleChunk(ChunkId(run_id, number, 0, number), 3, 0, "task")
        before = dataclasses.replace(self.progress, run_id=run_id, episode=EpisodeProgress(0, "task"))
        self.progress = before.after_chunk(step, stamp=time_to_ns(message.header.stamp), max_steps=3)
        write = self.store.write_chunk(message, self.progress)
        self.store.note(write, self.store.run(write), message)

    def bootstrap(self, number: int) -> None:
        message = msg.Bootstrap(run_id="run", sender="robot_0", sequence_number=number, value=float(number))
        self.progress = self.progress.without_last()
        write = self.store.write_bootstrap(message, self.progress)
        self.store.note(write, self.store.run(write))

    def damage(self, number: int) -> None:
        """Changes one bit in the payload of a stored chunk."""
        place = self.store.chunks[number].place
        content = bytearray(place.segment.read_bytes())
        content[place.end - 3] ^= 1
        place.segment.write_bytes(content)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "policy")


def test_a_new_run_finds_nothing(disk: Disk) -> None:
    assert disk.stored == StoredRollout()


def test_a_chunk_is_found_with_its_value_and_the_progress(disk: Disk) -> None:
    disk.sample(0)
    disk.sample(1)
    disk.bootstrap(1)
    after = disk.killed()
    assert after.stored.in_flight == (InFlight(0, 0, 3), InFlight(1, 0, 3))
    assert after.stored.progress == disk.progress
    chunk, bootstrap = after.store.read(1) or pytest.fail("the chunk is lost")
    assert chunk == message_of(1)
    assert bootstrap is not None and bootstrap.value == 1.0
    assert (after.store.read(0) or pytest.fail("lost"))[1] is None


def test_the_newest_chunk_is_awaited_unless_it_is_settled(disk: Disk) -> None:
    disk.sample(0)
    last = disk.killed().stored.progress.last
    assert last is not None and last.id == ChunkId("run", 0, 0, 0)
    disk.store.settle(0)
    disk.store.close(disk.progress)
    after = disk.killed()
    assert after.stored.progress.last is None and after.stored.in_flight == ()
    assert after.stored.progress.next_sequence_number == 1


def test_settled_chunks_are_written_with_the_next_chunk(disk: Disk) -> None:
    for number in range(3):
        disk.sample(number)
    disk.store.settle(0)
    disk.store.settle(0)
    disk.sample(3)
    assert sorted(disk.store.chunks) == [1, 2, 3]
    assert sorted(disk.killed().store.chunks) == [1, 2, 3]


def test_settled_chunks_are_written_where_no_chunk_follows(disk: Disk) -> None:
    disk.sample(0)
    assert disk.store.write_settled(disk.progress) is None
    disk.store.settle_episode(1)
    disk.store.settle_episode(0)
    write = disk.store.write_settled(disk.progress)
    assert write is not None
    disk.store.note(write, disk.store.run(write))
    assert disk.store.write_settled(disk.progress) is None
    assert disk.killed().store.chunks == {}


def test_what_the_disk_refused_is_settled_by_the_next_write(disk: Disk) -> None:
    disk.sample(0)
    disk.store.settle(0)
    disk.store.write_settled(disk.progress)  # It was not stored.
    disk.sample(1)
    assert sorted(disk.killed().store.chunks) == [1]


def test_the_number_of_a_chunk_that_was_withdrawn_is_used_again(disk: Disk) -> None:
    disk.sample(0)
    before, disk.progress = disk.progress, dataclasses.replace(disk.progress, next_sequence_number=0)
    disk.store.settle(0)
    disk.sample(0, stamp=5000)
    after = disk.killed()
    (chunk, _) = after.store.read(0) or pytest.fail("the chunk is lost")
    assert time_to_ns(chunk.header.stamp) == after.stored.progress.stamp == 5000 != before.stamp
    assert after.stored.progress.next_sequence_number == 1


def test_a_damaged_chunk_is_named_and_numbers_after_it_are_left_out(disk: Disk) -> None:
    """The newest progress is readable here, so that no number is left out. Then it is the one that is damaged."""
    disk.sample(0)
    disk.sample(1)
    disk.damage(0)
    after = disk.killed()
    assert sorted(after.store.chunks) == [1]
    assert after.stored.progress.next_sequence_number == 2
    assert any("damaged" in text for _, text in after.node.take_lines())


def test_numbers_go_on_after_a_gap_where_the_newest_progress_is_damaged(disk: Disk) -> None:
    disk.sample(0)
    segment = disk.store.chunks[0].place.segment
    written = segment.stat().st_size
    disk.sample(1)
    content = bytearray(segment.read_bytes())
    content[written + 5] ^= 1  # in the header of the second progress, which stands before its chunk
    segment.write_bytes(content)
    after = disk.killed()
    assert sorted(after.store.chunks) == [0, 1]
    assert after.stored.progress.next_sequence_number == 2 + HOLE_GAP


@pytest.mark.parametrize("num_before", [0, 1])
def test_no_number_is_used_again_where_the_newest_record_is_damaged(disk: Disk, num_before: int) -> None:
    """The last records that were stored are a progress and its chunk. Both were synced before the robot moved."""
    for number in range(num_before + 1):
        disk.sample(number)
    segment = disk.store.chunks[num_before].place.segment
    whole = segment.read_bytes()
    first = read_store(disk.folder).records[2 * num_before].offset
    for offset in range(first, len(whole), 7):
        segment.write_bytes(whole[:offset] + bytes([whole[offset] ^ 16]) + whole[offset + 1 :])
        after = disk.killed()
        state = RolloutState(after.stored)
        state.announce(Announcement("run", 3, num_accepted=0, num_required=9))
        assert state.progress.next_sequence_number >= num_before + HOLE_GAP, offset
        assert any("are damaged" in text for _, text in after.node.take_lines())
        after.store.close(after.progress)


def test_a_chunk_that_becomes_unreadable_is_settled(disk: Disk) -> None:
    disk.sample(0)
    disk.damage(0)
    assert disk.store.read(0) is None
    assert disk.store.chunks == {}


def test_chunks_of_another_run_are_dropped(disk: Disk) -> None:
    disk.sample(0)
    disk.sample(0, run_id="other")
    assert disk.node.take_lines() == [("warning", "1 stored chunks of run run are dropped")]
    after = disk.killed()
    assert (after.stored.progress.run_id, len(after.store.chunks)) == ("other", 1)
    (chunk, _) = after.store.read(0) or pytest.fail("the chunk is lost")
    assert chunk.run_id == "other"


def readings_before(stamp: int) -> SyncedSensors:
    """Returns what two of three cameras and both arms show just before a stamp."""
    images = (np.full((8, 8, 3), 7, np.uint8), None, np.full((8, 8, 3), 9, np.uint8))
    mask = np.array([True, False, True])
    return SyncedSensors(images, mask, np.arange(14, dtype=np.float32), stamp - 2, stamp - 1)


def store_segment(disk: Disk, stamp: int, *, episode: int = 0) -> None:
    write = disk.store.write_segment(
        OpenSegment(stamp, episode, readings_before(stamp)),
        dataclasses.replace(disk.progress, human_drives=True),
        image_size=8,
    )
    disk.store.note(write, disk.store.run(write))


def test_what_was_seen_before_a_human_drove_is_found_until_it_is_a_chunk(disk: Disk) -> None:
    disk.sample(0)
    for stamp in (2000, 3000):
        store_segment(disk, stamp)
    store_segment(disk, 4000, episode=9)
    first, second = disk.killed().stored.segments
    assert (first.stamp, second.stamp) == (2000, 3000)
    seen, expected = first.readings, readings_before(2000)
    np.testing.assert_array_equal(seen.images[0], expected.images[0])
    assert seen.images[1] is None
    np.testing.assert_array_equal(seen.state, expected.state)
    assert (seen.stamp, seen.newest, seen.image_mask.tolist()) == (1998, 1999, [True, False, True])
    disk.sample(1, human=True, stamp=2000)
    assert [segment.stamp for segment in disk.killed().stored.segments] == [3000]


def test_a_segment_of_an_earlier_process_becomes_a_chunk_when_the_robot_repeats_its_targets(disk: Disk) -> None:
    disk.sample(0)
    store_segment(disk, 2000)
    state = RolloutState(disk.killed().stored)
    assert state.is_human_driven
    assert state.segments.has_open
    assert state.segments.end(2000, np.zeros((4, 14), np.float32)) == ""
    assert state.segments.next is not None and state.segments.next.readings.newest == 1999


def test_files_of_settled_chunks_are_removed_and_the_numbers_are_kept(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "policy", segment_bytes=2000)
    for number in range(40):
        disk.sample(number)
        if number > 2:
            disk.store.settle(number - 3)
    assert len(list(disk.folder.glob("*.log"))) < 12
    after = disk.killed()
    assert after.stored.progress.next_sequence_number == 40
    assert sorted(after.store.chunks) == [36, 37, 38, 39]
    for number in after.store.chunks.copy():
        after.store.settle(number)
    after.store.close(after.progress)
    assert after.killed().stored.progress.next_sequence_number == 40


def test_a_second_policy_node_is_refused(disk: Disk) -> None:
    with pytest.raises(StoreLocked, match="must be written by one process"):
        Disk(disk.folder)
    disk.store.close(disk.progress)
    Disk(disk.folder)


# The tests below check when stored chunks are published again.


class Repeating:
    """A process that found some chunks, of which the newest has no outcome."""

    def __init__(self, disk: Disk) -> None:
        self.store, self.node = disk.store, disk.node
        self.state = RolloutState(disk.stored)
        self.state.announce(Announcement("run", 3, num_accepted=0, num_required=9))
        self.state.weights.loaded(3)
        self.state.activate()
        publisher = ChunkPublisher(self.node, control_rate=50.0)  # type: ignore[arg-type]
        self.repeater = ChunkRepeater(
            self.node,  # type: ignore[arg-type]
            self.store,
            publisher,
            self.state,
            execution_timeout=2.0,
        )

    def published(self, topic: str, now: float) -> list[Any]:
        """Returns what is published on a topic by one call."""
        messages = self.node.publishers[topic].messages
        messages.clear()
        self.repeater.repeat(now)
        return list(messages)

    def chunks(self, now: float) -> list[int]:
        return [message.sequence_number for message in self.published("action_chunk", now)]

    def end(self, number: int) -> None:
        fields = {"terminated": False, "truncated": False, "cut_by_takeover": False}
        self.state.chunk_ended(number, end=0, num_steps=4, valid=True, **fields)


@pytest.fixture
def repeating(disk: Disk) -> Repeating:
    for number in range(3):
        disk.sample(number)
    return Repeating(disk.killed())


def test_a_new_process_repeats_all_chunks_and_then_the_trajectories_of_the_one_that_may_run(
    repeating: Repeating,
) -> None:
    repeating.state.episode_started(0, prompt="task", stamp=0)
    assert repeating.chunks(0.0) == [0, 1, 2]
    assert repeating.published("robot/left/joint_trajectory", 0.5) == []
    (trajectory,) = repeating.published("robot/left/joint_trajectory", ANSWER_TIME)
    assert len(trajectory.points) == 3  # as many steps as the episode had left
    assert time_to_ns(trajectory.header.stamp) == 1002
    assert ChunkOrigin.parse(trajectory.header.frame_id).sequence_number == 2
    assert repeating.published("robot/left/joint_trajectory", ANSWER_TIME + 1.0) == []


def test_the_robot_does_not_get_a_chunk_again_whose_outcome_is_known_or_whose_episode_does_not_run(
    repeating: Repeating,
) -> None:
    assert repeating.chunks(0.0) == [0, 1, 2]
    assert repeating.published("robot/left/joint_trajectory", 5.0) == []  # It is not known that the episode runs.
    repeating.state.episode_started(0, prompt="task", stamp=0)
    repeating.end(2)
    assert repeating.published("robot/left/joint_trajectory", 6.0) == []
    repeating.repeater.repeat_all()
    repeating.state.episode_reset(1, prompt="task")
    assert repeating.chunks(7.0) == [0, 1, 2]
    assert repeating.published("robot/left/joint_trajectory", 9.0) == []


def test_what_a_human_drove_is_not_sent_to_the_robot(disk: Disk) -> None:
    disk.sample(0, human=True)
    repeating = Repeating(disk.killed())
    repeating.state.episode_started(0, prompt="task", stamp=0)
    assert repeating.chunks(0.0) == [0]
    assert repeating.published("robot/left/joint_trajectory", 5.0) == []


def test_chunks_without_an_answer_are_repeated_ever_more_rarely(repeating: Repeating) -> None:
    repeating.end(2)
    assert repeating.chunks(0.0) == [0, 1, 2]
    now, gaps = 0.0, []
    for delay in (FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY, MAX_DELAY, MAX_DELAY):
        assert repeating.chunks(now + delay - 0.1) == []
        now += delay
        gaps.append(repeating.chunks(now))
    assert gaps == [[0, 1]] * 5  # The transition of chunk 2 waits for the next chunk.


def test_a_settled_chunk_is_not_repeated(repeating: Repeating) -> None:
    repeating.store.settle(1)
    assert repeating.chunks(0.0) == [0, 2]


def test_a_chunk_whose_outcome_is_late_is_repeated(repeating: Repeating) -> None:
    repeating.chunks(0.0)
    for number in (0, 1):
        repeating.store.settle(number)
    assert repeating.chunks(FIRST_DELAY) == [2]


def test_a_value_follows_its_chunk(disk: Disk) -> None:
    disk.sample(0)
    disk.bootstrap(0)
    repeating = Repeating(disk.killed())
    (bootstrap,) = repeating.published("bootstrap", 0.0)
    assert (bootstrap.sequence_number, bootstrap.value) == (0, 0.0)


def test_a_chunk_that_cannot_be_read_any_more_does_not_count(disk: Disk) -> None:
    disk.sample(0)
    after = disk.killed()
    after.damage(0)
    repeating = Repeating(after)
    assert repeating.chunks(0.0) == []
    assert repeating.state.awaited_chunk is None


def test_a_disk_that_fails_while_trajectories_are_repeated_ends_nothing(
    repeating: Repeating, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> None:
        raise OSError(5, "Input/output error")

    repeating.state.episode_started(0, prompt="task", stamp=0)
    repeating.chunks(0.0)
    monkeypatch.setattr(repeating.store, "read", fail)
    assert repeating.published("robot/left/joint_trajectory", ANSWER_TIME) == []
    assert "chunk 2 cannot be read to be sent again" in repeating.node.take_lines()[-1][1]
