"""Tests the sample of chunks that the page of a run takes from the transitions which trainer_node has stored."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.chunk_sample import journal_sample
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts, small
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from support.patience import PATIENCE
from support.wire_transitions import make_transition, to_message

RUN = "run-1"


def episode_of(first: int, *, number: int, success: bool) -> list[Transition]:
    """Returns the three transitions of an episode whose last one ends it."""
    made = []
    for chunk in range(3):
        transition = make_transition(seed=first + chunk)
        ends = chunk == 2
        outcome = dataclasses.replace(
            transition.outcome, terminated=ends and success, truncated=ends and not success, success=ends and success
        )
        place = dataclasses.replace(
            transition.id, run_id=RUN, sequence_number=first + chunk, episode=number, chunk=chunk, sender="robot_0"
        )
        made.append(dataclasses.replace(transition, id=place, outcome=outcome))
    return made


def store(run_dir: Path, transitions: list[Transition], *, run_id: str = RUN) -> None:
    journal = RolloutJournal(run_dir / "store" / "journal")
    journal.open()
    journal.begin_run(run_id, NOTHING_CONSUMED)
    stored = threading.Semaphore(0)
    for transition in transitions:
        message = serialize_message(to_message(transition))
        journal.add(transition.id.key, message, lambda error: stored.release())
    for _ in transitions:
        assert stored.acquire(timeout=PATIENCE)
    journal.close()


def test_the_newest_episodes_and_the_numbers_of_their_chunks_are_found(tmp_path: Path) -> None:
    solved, failed = episode_of(0, number=4, success=True), episode_of(3, number=5, success=False)
    store(tmp_path, [*solved, *failed, *episode_of(6, number=6, success=True)[:2]])
    store(tmp_path, episode_of(0, number=9, success=True), run_id="another run")
    sample = journal_sample.read_sample(tmp_path, RUN)
    assert sample is not None and sample.success is not None and sample.failure is not None
    assert [chunk.sequence_number for chunk in sample.chunks] == list(range(8))
    assert [dataclasses.replace(chunk, log_prob=0.0) for chunk in sample.success.chunks] == [
        dataclasses.replace(ChunkFacts.of(each), log_prob=0.0) for each in solved
    ]
    for shown, transition in zip(sample.success.chunks, solved, strict=True):
        assert shown.log_prob == pytest.approx(transition.chunk.log_prob, abs=1e-6)
    assert (sample.failure.images[1] == small(failed[1].chunk.observation.images)).all()


def test_a_run_that_stored_nothing_has_no_sample(tmp_path: Path) -> None:
    assert journal_sample.read_sample(tmp_path, RUN) is None


def test_a_damaged_transition_is_left_out(tmp_path: Path) -> None:
    store(tmp_path, episode_of(0, number=0, success=True))
    path = next((tmp_path / "store" / "journal").glob("*.log"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF  # in the payload of the second transition
    path.write_bytes(bytes(content))
    sample = journal_sample.read_sample(tmp_path, RUN)
    assert sample is not None
    assert [chunk.sequence_number for chunk in sample.chunks] == [0, 2]


def test_no_more_is_read_of_a_large_store_than_a_page_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, [each for number in range(4) for each in episode_of(3 * number, number=number, success=False)])
    monkeypatch.setattr(journal_sample, "MAX_CHUNKS", 4)
    sample = journal_sample.read_sample(tmp_path, RUN)
    assert sample is not None and sample.failure is not None
    assert [chunk.sequence_number for chunk in sample.chunks] == [8, 9, 10, 11]
    assert sample.failure.chunks[0].episode == 3
