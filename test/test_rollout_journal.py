"""Tests what the journal of transitions gives back after restarts, failures of the disk, and steps back."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.data.earlier_journal import take_over
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import StoreLocked
from support.fresh_python import run_program
from support.patience import PATIENCE

ROBOT = "robot_0"


class Waits:
    """Is called when a record is stored, and lets a test wait for it."""

    def __init__(self) -> None:
        self._results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def __call__(self, error: OSError | None) -> None:
        self._results.put(error)

    def result(self) -> OSError | None:
        return self._results.get(timeout=PATIENCE)


def opened(
    folder: Path, consumed: Consumed = NOTHING_CONSUMED, *, run_id: str = "run", **settings: Any
) -> RolloutJournal:
    journal = RolloutJournal(folder, **settings)
    journal.open()
    journal.begin_run(run_id, consumed)
    return journal


def add(journal: RolloutJournal, *numbers: int, sender: str = ROBOT) -> None:
    for number in numbers:
        waits = Waits()
        journal.add((sender, number), b"%s %d" % (sender.encode(), number), waits)
        assert waits.result() is None


def consumed(*numbers: int, sender: str = ROBOT) -> Consumed:
    return NOTHING_CONSUMED.after(1, [(sender, number) for number in numbers])


def waiting(journal: RolloutJournal) -> list[int]:
    return [number for _, number in journal.waiting()]


def test_stored_transitions_wait_until_an_update_takes_them(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    add(journal, 10, 9, 100)
    assert waiting(journal) == [9, 10, 100]
    assert journal.read((ROBOT, 10)) == b"robot_0 10"
    assert journal.read((ROBOT, 11)) is None
    assert journal.has((ROBOT, 9)) and not journal.has((ROBOT, 8)) and not journal.has(("robot_1", 9))
    journal.mark_consumed(consumed(9, 10))
    assert waiting(journal) == [100]
    assert journal.is_consumed((ROBOT, 9)) and journal.has((ROBOT, 9))
    journal.close()


def test_a_restart_has_trained_on_what_its_checkpoint_says(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    add(journal, *range(6))
    journal.mark_consumed(consumed(0, 1, 2, 3))
    journal.close()
    assert waiting(opened_and_closed(tmp_path, consumed(0, 1, 2, 3))) == [4, 5]
    assert waiting(opened_and_closed(tmp_path, consumed(0, 1))) == [2, 3, 4, 5]  # It went back to an earlier one.


def opened_and_closed(folder: Path, record: Consumed, **settings: Any) -> RolloutJournal:
    journal = opened(folder, record, **settings)
    journal.close()
    return journal


def test_numbers_of_several_robots_are_kept_apart(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    add(journal, 0, 1)
    add(journal, 0, 5, sender="robot_1")
    journal.mark_consumed(consumed(0))
    assert journal.waiting() == ((ROBOT, 1), ("robot_1", 0), ("robot_1", 5))
    assert journal.read(("robot_1", 0)) == b"robot_1 0"
    assert journal.next_sequence_number(ROBOT) == 2
    assert journal.next_sequence_number("robot_1") == 6
    journal.close()


def test_the_next_number_is_above_all_that_were_seen(tmp_path: Path) -> None:
    journal = opened(tmp_path, consumed(*range(8)))
    assert (journal.next_sequence_number(ROBOT), journal.next_sequence_number("robot_1")) == (8, 0)
    add(journal, 20)
    journal.close()
    assert opened_and_closed(tmp_path, consumed(0, 1)).next_sequence_number(ROBOT) == 21


def test_what_is_left_out_or_discarded_stays_so_through_restarts_and_steps_back(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    add(journal, 0, 1, 2)
    waits = Waits()
    journal.leave_out((ROBOT, 1), "it does not fit", waits)
    assert waits.result() is None
    journal.discard(ROBOT, 7, waits)
    assert waits.result() is None
    assert waiting(journal) == [0, 2]
    journal.close()
    again = opened_and_closed(tmp_path, NOTHING_CONSUMED)
    assert waiting(again) == [0, 2]
    assert again.is_left_out((ROBOT, 1)) and again.is_discarded(ROBOT, 7)
    assert not again.is_left_out((ROBOT, 7)) and not again.is_discarded(ROBOT, 1)


def test_marks_that_a_full_disk_refused_are_stored_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, parts: object) -> int:
        raise OSError(28, "No space left on device")

    journal, waits = opened(tmp_path), Waits()
    add(journal, 0, 1)
    with monkeypatch.context() as full:
        full.setattr("os.writev", fail)
        journal.discard(ROBOT, 7, waits)
        assert isinstance(waits.result(), OSError)
        journal.leave_out((ROBOT, 0), "it does not fit", waits)
        assert isinstance(waits.result(), OSError)
    add(journal, 2)
    journal.close()
    again = opened_and_closed(tmp_path, NOTHING_CONSUMED)
    assert again.is_discarded(ROBOT, 7) and waiting(again) == [1, 2]


def test_another_run_in_the_same_folder_does_not_count_and_stays_on_disk(tmp_path: Path) -> None:
    journal = opened(tmp_path, run_id="before")
    add(journal, 0, 1)
    journal.close()
    journal = opened(tmp_path, run_id="after")
    assert waiting(journal) == [] and not journal.has((ROBOT, 0))
    add(journal, 0)
    assert waiting(journal) == [0]
    journal.close()
    assert waiting(opened_and_closed(tmp_path, NOTHING_CONSUMED, run_id="before")) == [0, 1]


@pytest.mark.parametrize("offset", [3, 40])
def test_a_damaged_header_of_a_file_loses_no_transition(tmp_path: Path, offset: int) -> None:
    journal = opened(tmp_path)
    add(journal, 0, 1, 2)
    journal.close()
    (segment,) = tmp_path.glob("*.log")
    data = bytearray(segment.read_bytes())
    data[offset] ^= 1
    segment.write_bytes(data)
    again = opened_and_closed(tmp_path, consumed(0))
    assert waiting(again) == [1, 2] and again.read((ROBOT, 1)) == b"robot_0 1"


def test_a_transition_that_is_stored_twice_counts_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    add(journal, 3)
    waits = Waits()
    journal.add((ROBOT, 3), b"another", waits)
    assert waits.result() is None
    assert waiting(journal) == [3] and journal.read((ROBOT, 3)) == b"robot_0 3"
    journal.close()


def test_a_second_trainer_is_refused_by_one_sentence(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(StoreLocked, match=r"must be written by one process, but process \d+ on .* holds it"):
        RolloutJournal(tmp_path).open()
    journal.close()
    opened(tmp_path).close()


def test_a_full_disk_is_told_and_the_same_transition_can_be_stored_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, parts: object) -> int:
        raise OSError(28, "No space left on device")

    journal = opened(tmp_path)
    add(journal, 0)
    with monkeypatch.context() as full:
        full.setattr("os.writev", fail)
        waits = Waits()
        journal.add((ROBOT, 1), b"late", waits)
        error = waits.result()
        assert error is not None and "No space left on device" in str(error)
    assert waiting(journal) == [0]
    add(journal, 1)
    journal.close()
    assert waiting(opened_and_closed(tmp_path, NOTHING_CONSUMED)) == [0, 1]


def test_what_was_trained_on_after_the_oldest_checkpoint_stays_where_it_is_asked_for(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1)
    add(journal, *range(6))
    record = NOTHING_CONSUMED
    for version in range(1, 5):
        record = record.after(version, [(ROBOT, version - 1)])
    journal.mark_consumed(record)
    assert journal.remove_oldest(max_bytes=0, rollback_to=0) == []
    assert len(journal.remove_oldest(max_bytes=0, rollback_to=2)) == 2  # Numbers 2 and 3 were trained on later.
    assert len(journal.remove_oldest(max_bytes=0)) == 1  # Number 3 was taken by the newest update.
    journal.close()


def test_the_oldest_files_are_removed_but_none_that_an_update_needs(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1)  # a file for each record
    add(journal, *range(6))
    assert journal.remove_oldest(max_bytes=0) == []
    journal.mark_consumed(consumed(0, 1, 3).after(2, []))
    sizes = journal.remove_oldest(max_bytes=10**9)
    assert sizes == []
    assert len(journal.remove_oldest(max_bytes=0)) == 2  # Number 2 waits.
    assert waiting(journal) == [2, 4, 5]
    assert journal.read((ROBOT, 0)) is None and journal.has((ROBOT, 0))
    journal.mark_consumed(consumed(*range(6)).after(2, []))
    assert len(journal.remove_oldest(max_bytes=0)) == 3  # The newest file stays.
    journal.close()
    assert opened_and_closed(tmp_path, consumed(0)).next_sequence_number(ROBOT) == 6


def test_what_was_acknowledged_is_there_after_the_process_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, queue\n"
        "from pathlib import Path\n"
        "from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED\n"
        "from chunk_ppo_ros.data.rollout_journal import RolloutJournal\n"
        f"journal = RolloutJournal(Path({str(tmp_path)!r}))\n"
        "journal.open()\n"
        "journal.begin_run('run', NOTHING_CONSUMED)\n"
        "stored = queue.SimpleQueue()\n"
        "for number in range(20):\n"
        "    journal.add(('robot_0', number), b'robot_0 %d' % number, stored.put)\n"
        "for number in range(20):\n"
        "    assert stored.get() is None\n"
        "    print(number, flush=True)\n"
        "    if number == 12:\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    result = run_program(program)
    acknowledged = [int(line) for line in result.stdout.split()]
    journal = opened_and_closed(tmp_path, NOTHING_CONSUMED)
    assert len(acknowledged) == 13 and set(acknowledged) <= set(waiting(journal))


def test_a_journal_of_an_earlier_release_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    for version, number in ((3, 7), (3, 10), (2, 1)):
        path = folder / f"v{version}" / f"{number}.cdr"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"chunk_ppo_ros transition, message format 2\nrobot_0 %d" % number)
    (folder / "v3" / ".8.cdr.123").write_bytes(b"half")
    journal = opened(tmp_path / "store")
    add(journal, 7)  # It was taken over before the process was killed.
    take_over(folder, journal)
    take_over(folder, journal)
    assert waiting(journal) == [1, 7, 10] and not folder.exists()
    assert journal.read((ROBOT, 10)) == b"robot_0 10"
    journal.close()
