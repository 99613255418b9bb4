"""Tests the record of the chunks that a run has trained on: its sets of ranges, its manifests and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.core.consumption.chunk_ranges import NO_CHUNKS, ChunkRanges
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed, UpdateManifest
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.consumed_file import CONSUMED, read_consumed, write_consumed
from support import small_policy

CHUNKS = st.lists(st.tuples(st.sampled_from(["robot_0", "robot_1"]), st.integers(0, 30)), max_size=40)


@given(CHUNKS, CHUNKS)
def test_ranges_are_the_set_of_their_chunks(first: list[tuple[str, int]], second: list[tuple[str, int]]) -> None:
    ranges = ChunkRanges.of(first).union(second)
    wanted = {*first, *second}
    assert list(ranges) == sorted(wanted)
    assert len(ranges) == len(wanted)
    for sender in ("robot_0", "robot_1", "robot_2"):
        assert [(sender, number) in ranges for number in range(32)] == [
            (sender, number) in wanted for number in range(32)
        ]
        assert ranges.highest(sender) == max((number for name, number in wanted if name == sender), default=None)
    assert ChunkRanges.of_json(json.loads(json.dumps(ranges.to_json()))) == ranges


def test_numbers_that_follow_each_other_are_one_range() -> None:
    ranges = ChunkRanges.of([("robot_0", number) for number in (5, 3, 4, 0, 1, 9)])
    assert ranges.to_json() == {"robot_0": [[0, 1], [3, 5], [9, 9]]}
    assert ranges.union([("robot_0", 2)]).to_json() == {"robot_0": [[0, 5], [9, 9]]}
    assert NO_CHUNKS.to_json() == {}


@given(st.lists(CHUNKS, max_size=4))
def test_a_record_keeps_the_order_of_each_update(updates: list[list[tuple[str, int]]]) -> None:
    record = NOTHING_CONSUMED
    for version, chunks in enumerate(updates, start=1):
        record = record.after(version, chunks, num_processors=2)
    again = Consumed.of_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert [list(again.updates[version].chunks) for version in sorted(again.updates)] == updates
    assert set(again.chunks) == {chunk for chunks in updates for chunk in chunks}


def test_a_manifest_is_short_where_numbers_follow_each_other() -> None:
    chunks = tuple([("robot_0", number) for number in (4, 5, 7)] + [("robot_1", number) for number in (0, 1)])
    assert UpdateManifest(chunks, 2).to_json() == {
        "num_processors": 2,
        "chunks": [["robot_0", 4, 5], ["robot_0", 7, 7], ["robot_1", 0, 1]],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "updates must be an object of policy versions, got None"),
        ({"updates": {"x": {}}}, "updates must be an object of policy versions"),
        ({"updates": {"1": {}}}, "the manifest of an update must have num_processors and chunks"),
        ({"updates": {"1": {"num_processors": 1, "chunks": [[1, 2]]}}}, r"must be \[sender, first, last\]"),
        ({"updates": {"1": {"num_processors": 1, "chunks": [["a", 3, 2]]}}}, "two whole numbers that ascend"),
        ({"updates": {}}, "chunks must be an object of senders, got None"),
        ({"updates": {}, "consumed": {"a": 3}}, "the chunks of a must be a list of ranges, got 3"),
        ({"updates": {}, "consumed": {"a": [[0, 1], [2, 3]]}}, "must ascend and not touch each other"),
    ],
)
def test_other_content_is_refused(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        Consumed.of_json(content)


def test_the_file_is_read_as_written_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    record = NOTHING_CONSUMED.after(1, [("robot_0", 0), ("robot_0", 1)])
    write_consumed(tmp_path, record)
    assert read_consumed(tmp_path) == record
    file = tmp_path / CONSUMED
    file.write_text(file.read_text().replace("1", "7", 1))
    with pytest.raises(CheckpointError, match=r"consumed\.json"):
        read_consumed(tmp_path)


def test_a_checkpoint_of_an_earlier_release_has_consumed_all_numbers_that_its_run_used(tmp_path: Path) -> None:
    folder = small_policy.save_own(tmp_path / "run")
    assert Checkpoint.open(folder).load_consumed() == NOTHING_CONSUMED
    (folder / CONSUMED).unlink()
    with pytest.raises(CheckpointError, match=r"consumed\.json cannot be read"):
        Checkpoint.open(folder).load_consumed()

    def as_before(content: dict[str, Any]) -> None:
        del content["checksums"][CONSUMED]
        content["counters"]["next_sequence_number"] = 12

    small_policy.rewrite_json(folder / "metadata.json", as_before)
    assert Checkpoint.open(folder).load_consumed().chunks.to_json() == {"robot_0": [[0, 11]]}
    assert Consumed.of_earlier_release(0) == NOTHING_CONSUMED
