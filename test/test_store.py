"""Tests of the store of records: what is read back after restarts, damage, and errors of the disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.store import Contents, DamagedRecord, Entry, GroupCommit, Key, Store, StoreLocked, read_store
from chunk_ppo_ros.data.store.records import RecordPlace
from chunk_ppo_ros.data.store.segment_file import list_segments


def entry(number: int, size: int = 50) -> Entry:
    return Entry(kind=1, sender="robot_0", number=number, payload=bytes([number % 256]) * size)


def opened(folder: Path, **options: int) -> Store:
    store = Store(folder, name="test", run_id="run", **options)
    store.open()
    return store


def written(folder: Path, *numbers: int, **options: int) -> None:
    """Appends one record for each number, and closes the store."""
    store = opened(folder, **options)
    for number in numbers:
        store.append([entry(number)])
    store.close()


def numbers(contents: Contents) -> list[int]:
    return [place.key.number for place in contents.records]


def test_records_are_read_back_in_order_with_their_payloads(tmp_path: Path) -> None:
    store = opened(tmp_path)
    places = store.append([entry(5), entry(7)])
    store.append([entry(6, size=0)])
    store.close()
    contents = store.open()
    assert [(place.index, place.key) for place in contents.records] == [
        (0, Key(1, "robot_0", 5)),
        (1, Key(1, "robot_0", 7)),
        (2, Key(1, "robot_0", 6)),
    ]
    assert list(contents.records[:2]) == places
    assert [store.read(place) for place in contents.records] == [b"\x05" * 50, b"\x07" * 50, b""]
    assert not contents.holes and not contents.unfinished
    assert contents.segments[0].header.store == "test" and contents.segments[0].header.message_format == FORMAT
    assert contents.records[0].run_id == "run"
    store.close()


def test_indices_go_on_in_a_new_segment_after_a_restart(tmp_path: Path) -> None:
    written(tmp_path, 0, 1)
    written(tmp_path, 2)
    contents = read_store(tmp_path)
    assert [path.name for path in list_segments(tmp_path)] == [f"{0:020d}.log", f"{2:020d}.log"]
    assert [place.index for place in contents.records] == [0, 1, 2]


def test_a_store_that_is_opened_without_appending_makes_no_segment(tmp_path: Path) -> None:
    for _ in range(3):
        opened(tmp_path).close()
    assert list_segments(tmp_path) == []


def test_segments_rotate_and_only_the_oldest_are_removed(tmp_path: Path) -> None:
    store = opened(tmp_path, segment_bytes=300)
    for number in range(12):
        store.append([entry(number)])
    firsts = [int(path.stem) for path in list_segments(tmp_path)]
    assert len(firsts) > 2 and firsts[0] == 0
    assert [int(path.stem) for path in store.remove_segments(firsts[2] + 1)] == firsts[:2]
    store.remove_segments(2**63)  # the newest stays
    assert [int(path.stem) for path in list_segments(tmp_path)] == firsts[-1:]
    store.close()
    contents = read_store(tmp_path)
    assert numbers(contents) == list(range(firsts[-1], 12)) and not contents.holes


def test_a_cut_anywhere_leaves_an_exact_prefix(tmp_path: Path) -> None:
    written(tmp_path, 0, 1, 2)
    (path,) = list_segments(tmp_path)
    data = path.read_bytes()
    ends = [place.end for place in read_store(tmp_path).records]
    whole = {0, data.find(b"CPR1"), *ends}
    for length in range(len(data)):
        path.write_bytes(data[:length])
        contents = read_store(tmp_path)
        assert numbers(contents) == [number for number in range(3) if ends[number] <= length]
        assert not contents.holes
        assert bool(contents.unfinished) == (length not in whole)


def test_a_flipped_byte_anywhere_leaves_all_other_records_and_names_the_hole(tmp_path: Path) -> None:
    written(tmp_path, 0, 1, 2)
    written(tmp_path, 3)
    path = list_segments(tmp_path)[0]
    data = path.read_bytes()
    places = read_store(tmp_path).records[:3]
    for offset in range(len(data)):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :])
        contents = read_store(tmp_path)
        lost = [place.index for place in places if place.offset <= offset < place.end]
        assert numbers(contents) == [number for number in range(4) if number not in lost], offset
        assert [index for hole in contents.holes for index in hole.missing] == lost
        assert contents.next_index == 4
        damaged_payload = any(place.payload_offset <= offset < place.end for place in places)
        if damaged_payload:
            assert contents.holes[0].key == Key(1, "robot_0", lost[0])


def test_the_next_record_after_a_damaged_end_goes_on_counting(tmp_path: Path) -> None:
    written(tmp_path, 0)
    (path,) = list_segments(tmp_path)
    path.write_bytes(path.read_bytes() + b"CPR1 the beginning of a record")
    assert len(read_store(tmp_path).unfinished) == 1
    written(tmp_path, 1)
    assert numbers(read_store(tmp_path)) == [0, 1]


def test_a_segment_that_was_only_begun_is_put_aside(tmp_path: Path) -> None:
    written(tmp_path, 0)
    (path,) = list_segments(tmp_path)
    path.write_bytes(path.read_bytes()[:90])
    written(tmp_path, 1)
    contents = read_store(tmp_path)
    assert [(place.index, place.key.number) for place in contents.records] == [(0, 1)]
    assert path.with_suffix(".unfinished").exists()


def test_reading_a_record_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (place,) = store.append([entry(3)])
    data = bytearray(place.segment.read_bytes())
    data[place.payload_offset] ^= 1
    place.segment.write_bytes(data)
    with pytest.raises(DamagedRecord, match="but they were changed"):
        store.read(place)
    store.close()


def test_a_second_writer_is_refused_with_the_holder_of_the_lock(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from chunk_ppo_ros.data.store import Store\n"
        f"Store(Path({str(tmp_path)!r}), name='test').open(); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreLocked, match=f"must be written by one process, but process {process.pid} on"):
            Store(tmp_path, name="test").open()
        process.kill()
    opened(tmp_path).close()


def test_a_store_is_opened_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 0)

    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    for name in ("pwrite", "ftruncate", "writev"):
        monkeypatch.setattr(os, name, fail)
    store = Store(tmp_path, name="test")
    assert numbers(store.open()) == [0]
    with pytest.raises(StoreLocked, match="must be written by one process, but"):
        Store(tmp_path, name="test").open()
    with pytest.raises(OSError, match="full"):
        store.append([entry(1)])
    monkeypatch.undo()
    store.append([entry(1)])
    store.close()
    assert numbers(read_store(tmp_path)) == [0, 1]


def test_messages_of_another_format_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 0)
    monkeypatch.setattr("chunk_ppo_ros.data.store.store.FORMAT", FORMAT + 1)
    with pytest.raises(UserError, match=f"must have format {FORMAT + 1}, got {FORMAT} in"):
        opened(tmp_path)
    monkeypatch.undo()
    opened(tmp_path).close()  # the lock is free again


def test_a_failed_sync_stores_nothing_and_the_file_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    store.append([entry(0)])
    used: list[int] = []

    def fail(descriptor: int) -> None:
        used.append(descriptor)
        raise OSError(errno.EIO, "no disk")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="no disk"):
        store.append([entry(1)])
    monkeypatch.undo()
    places = store.append([entry(2)])
    store.close()
    assert len(used) == 1
    assert [(place.index, place.key.number) for place in read_store(tmp_path).records] == [(0, 0), (1, 2)]
    assert len(list_segments(tmp_path)) == 2 and places[0].segment == list_segments(tmp_path)[1]


def test_what_a_failed_disk_kept_nevertheless_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    store.append([entry(0)])

    def fail(*arguments: int) -> None:
        raise OSError(errno.EIO, "no disk")

    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(OSError, match="no disk"):
        store.append([entry(1), entry(3)])
    monkeypatch.undo()
    store.append([entry(2)])
    store.close()
    assert numbers(read_store(tmp_path)) == [0, 2]


def test_group_commit_stores_in_order_and_says_where(tmp_path: Path) -> None:
    store = opened(tmp_path)
    commit = GroupCommit(store)
    places: list[RecordPlace | OSError] = []
    threads = set()

    def on_stored(result: RecordPlace | OSError) -> None:
        places.append(result)
        threads.add(threading.current_thread().name)

    for number in range(50):
        commit.submit(entry(number), on_stored)
    commit.close()
    store.close()
    assert tuple(places) == read_store(tmp_path).records
    assert numbers(read_store(tmp_path)) == list(range(50))
    assert threads == {"test_store"}
    with pytest.raises(RuntimeError, match="before the group commit is closed"):
        commit.submit(entry(0), on_stored)


def test_group_commit_hands_an_error_of_the_disk_to_all_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    commit = GroupCommit(store)

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fdatasync", fail)
    results: list[RecordPlace | OSError] = []
    for number in range(3):
        commit.submit(entry(number), results.append)
    commit.close()
    assert [str(result) for result in results] == ["[Errno 28] full"] * 3
    monkeypatch.undo()
    store.close()
    assert read_store(tmp_path).records == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [({"number": -1}, "a number of 0 to"), ({"kind": 256}, "a kind of 0 to 255"), ({"sender": "ä" * 200}, "a sender")],
)
def test_an_entry_that_does_not_fit_the_format_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Entry(**({"kind": 1, "sender": "", "number": 0, "payload": b""} | change))


def test_a_segment_stays_until_the_next_one_survives_a_power_cut(tmp_path: Path) -> None:
    store = opened(tmp_path, segment_bytes=100)
    store.append([entry(0)])
    store.append([entry(1)], sync=False)
    assert store.remove_segments(2**63) == []
    store.append([entry(2)])
    assert [path.name for path in store.remove_segments(2**63)] == [f"{0:020d}.log", f"{1:020d}.log"]
    store.close()


def test_group_commit_hands_any_error_to_all_who_wait_shows_it_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    commit = GroupCommit(store)
    shown: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    write = os.writev

    def write_some(descriptor: int, parts: list[bytes]) -> int:
        write(descriptor, [b"".join(parts)[:50]])
        raise MemoryError("no memory")

    results: list[RecordPlace | OSError] = []
    with monkeypatch.context() as failing:
        failing.setattr(os, "writev", write_some)
        done = threading.Event()
        commit.submit(entry(0), results.append)
        commit.submit(entry(1), lambda result: (results.append(result), done.set()))
        assert done.wait(10)
    commit.submit(entry(2), results.append)
    commit.close()
    store.close()
    assert all("a fault in the program: MemoryError('no memory')" in str(result) for result in results[:2])
    assert all(isinstance(args.exc_value, MemoryError) for args in shown) and shown
    contents = read_store(tmp_path)
    assert numbers(contents) == [2] and (results[2],) == contents.records and not contents.holes


def test_a_segment_without_a_record_hinders_nobody_who_does_not_append(tmp_path: Path) -> None:
    """It may have been begun by a process that died. Only the one that appends next needs its name."""
    written(tmp_path, 0)
    (path,) = list_segments(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    opened(tmp_path).close()
    assert list_segments(tmp_path) == [path]
    written(tmp_path, 1)
    assert [path.name for path in tmp_path.glob("*.unfinished")] == [f"{0:020d}.unfinished"]
    assert numbers(read_store(tmp_path)) == [1]
