"""Tests of the store with random operations, errors of the disk, cuts and flips, and that it stays small and fast."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.data.store import Contents, Entry, Key, Store, StoredQueue, read_payload, read_store
from chunk_ppo_ros.data.store.segment_file import list_segments
from chunk_ppo_ros.data.store.stored_queue import MAX_SEGMENTS

SEGMENT_BYTES = 700


def payload(number: int) -> bytes:
    """Returns content that differs for each number, and holds the magic of records."""
    return b"CPR1" * (number % 40) + b"payload %d" % number


def entry(number: int) -> Entry:
    return Entry(number % 5, "robot_é", number, payload(number))


def take(contents: Contents) -> dict[int, int]:
    """Returns the numbers of the records by index, after comparing the payload of each."""
    for place in contents.records:
        assert read_payload(place) == payload(place.key.number)
        assert place.key == entry(place.key.number).key
    return {place.index: place.key.number for place in contents.records}


class FailingDisk:
    """Makes calls of the system fail while it is entered.

    Args:
        how: "sync", "write", "short" (some bytes are written before the error), or "all" (nothing can be taken back).
    """

    def __init__(self, how: str) -> None:
        self.how = how
        self.patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        names = {"sync": ["fdatasync"], "write": ["writev"], "short": [], "all": ["fdatasync", "ftruncate"]}
        for name in names[self.how]:
            self.patch.setattr(os, name, self.fail)
        if self.how == "short":
            real = os.writev
            self.patch.setattr(os, "writev", lambda file, parts: real(file, [b"".join(parts)[:-5]]))
            self.patch.setattr(os, "write", self.fail)

    def __exit__(self, *error: object) -> None:
        self.patch.undo()

    @staticmethod
    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 9)),
        st.tuples(st.just("unsynced"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["sync", "write", "short", "all"]), st.integers(1, 3)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


def run_operations(folder: Path, operations: list[tuple[str, int]]) -> list[int]:
    """Does operations on a store, and returns the numbers that must be in it at last, in order."""
    shutil.rmtree(folder, ignore_errors=True)
    store = Store(folder, name="test", run_id="run", segment_bytes=SEGMENT_BYTES)
    store.open()
    stored: list[int] = []
    unsynced: list[int] = []
    number = 0
    for what, count in operations:
        entries = [entry(number + more) for more in range(count)]
        if what == "restart":
            store.close()
            stored, unsynced = stored + unsynced, []
            assert list(take(store.open()).values()) == stored
        elif what == "append":
            store.append(entries)
            stored, unsynced = stored + unsynced + [each.number for each in entries], []
        elif what == "unsynced":
            store.append(entries, sync=False)
            unsynced += [each.number for each in entries]
        else:
            with FailingDisk(what), pytest.raises(OSError, match="No space"):
                store.append(entries)
            if what == "all":  # The next segment says that the failed records do not count.
                store.append([entry(number + count)])
            found = [place.key.number for place in read_store(folder).records]
            stored += [each for each in unsynced if each in found]  # what was synced before the error
            unsynced = []
            if what == "all":
                stored.append(number + count)
                number += 1
        number += count
    store.close()
    return stored + unsynced


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS)
def test_exactly_what_was_stored_is_read_after_any_operations(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "operations"
    stored = run_operations(folder, operations)
    contents = read_store(folder)
    assert not contents.holes
    assert take(contents) == dict(enumerate(stored))


@settings(max_examples=100, deadline=None)
@given(operations=OPERATIONS, where=st.floats(0, 1, exclude_max=True), which=st.floats(0, 1, exclude_max=True))
def test_a_cut_of_any_segment_is_a_prefix_of_it_or_a_named_hole(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], where: float, which: float
) -> None:
    folder = tmp_path_factory.getbasetemp() / "cut"
    stored = dict(enumerate(run_operations(folder, [("append", 3), *operations])))
    before = read_store(folder)
    segment = before.segments[int(which * len(before.segments))]
    length = int(where * segment.num_bytes)
    os.truncate(segment.path, length)
    whole = {place.index for place in before.records if place.segment != segment.path or place.end <= length}
    contents = read_store(folder)
    assert take(contents) == {index: number for index, number in stored.items() if index in whole}
    missing = {index for hole in contents.holes for index in hole.missing}
    if segment == before.segments[-1]:
        assert not missing
    else:
        assert missing == set(stored) - whole


@settings(max_examples=100, deadline=None)
@given(operations=OPERATIONS, where=st.floats(0, 1, exclude_max=True), which=st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_is_a_named_hole_also_in_the_newest_record_and_nothing_else_is_lost(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], where: float, which: float
) -> None:
    folder = tmp_path_factory.getbasetemp() / "flip"
    stored = dict(enumerate(run_operations(folder, [("append", 3), *operations])))
    before = read_store(folder)
    segment = before.segments[int(which * len(before.segments))]
    bit = int(where * 8 * segment.num_bytes)
    data = bytearray(segment.path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    segment.path.write_bytes(data)
    hit = {
        place.index
        for place in before.records
        if place.segment == segment.path and place.offset <= bit // 8 < place.end
    }
    contents = read_store(folder)
    assert take(contents) == {index: number for index, number in stored.items() if index not in hit}
    missing = {index for hole in contents.holes for index in hole.missing}
    assert missing == hit
    assert all(str(segment.path) in str(hole) for hole in contents.holes)


def test_a_flipped_bit_anywhere_in_the_newest_record_is_a_hole_and_its_index_is_not_used_again(tmp_path: Path) -> None:
    """A record that was synced must never look like one that was being written."""
    for size in (0, 1, 60):  # With short payloads, a wrong length of the sender is shorter than the record.
        folder = tmp_path / str(size)
        store = Store(folder, name="test")
        store.open()
        store.append([Entry(1, "robot_0", 0, bytes(size))])
        (place,) = store.append([Entry(1, "robot_0", 1, bytes(size))])
        store.close()
        whole = place.segment.read_bytes()
        for bit in range(8 * place.offset, 8 * place.end):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            place.segment.write_bytes(data)
            contents = read_store(folder)
            assert [hole.missing for hole in contents.holes] == [range(1, 2)], bit
            assert not contents.unfinished
            assert contents.next_index == 2


@pytest.mark.parametrize("length", [1, 36, 100, 4096, 3 * 2**20])
@pytest.mark.parametrize("num_records", [0, 3])
def test_zeros_after_the_newest_record_are_no_damage(tmp_path: Path, num_records: int, length: int) -> None:
    """Some file systems store the length of a file before its content, so that a power cut leaves zeros."""
    store = Store(tmp_path, name="test")
    store.open()
    store.append([entry(number) for number in range(3)])
    store.close()
    (path,) = list_segments(tmp_path)
    end = 0 if num_records == 0 else path.stat().st_size
    path.write_bytes(path.read_bytes()[:end] + bytes(length))
    contents = store.open()
    assert (contents.holes, len(contents.unfinished)) == ((), 1)
    store.append([entry(9)])
    store.close()
    contents = read_store(tmp_path)
    assert not contents.holes and take(contents) == {**{n: n for n in range(num_records)}, num_records: 9}


def test_a_newest_record_that_was_damaged_stays_a_hole_when_the_store_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path, name="test")
    store.open()
    store.append([entry(3)])
    (place,) = store.append([entry(4)])
    store.close()
    data = bytearray(place.segment.read_bytes())
    data[place.end - 1] ^= 1
    place.segment.write_bytes(data)
    for number in (5, 6):
        store.open(check_payloads=False)
        store.append([entry(number)])
        store.close()
        contents = read_store(tmp_path, check_payloads=False)
        assert [hole.missing for hole in contents.holes] == [range(1, 2)]
    assert take(contents) == {0: 3, 2: 5, 3: 6}


def test_records_after_damage_are_found_again_also_when_payloads_are_not_read(tmp_path: Path) -> None:
    run_operations(tmp_path / "store", [("append", 9)] * 3)
    path = list_segments(tmp_path / "store")[0]
    places = [place for place in read_store(tmp_path / "store").records if place.segment == path]
    data = bytearray(path.read_bytes())
    data[places[1].offset + 9] ^= 1  # the header of one record
    data[places[3].payload_offset] ^= 1  # the payload of another
    path.write_bytes(data)
    contents = read_store(tmp_path / "store")
    assert [hole.missing for hole in contents.holes] == [range(1, 2), range(3, 4)]
    assert [hole.key for hole in contents.holes] == [None, places[3].key]
    skimmed = read_store(tmp_path / "store", check_payloads=False)
    assert [hole.missing for hole in skimmed.holes] == [range(1, 2)]
    assert "record 3 is lost (kind 3, sender robot_é, number 3)" in str(contents.holes[1])


def test_a_payload_that_was_half_written_in_a_power_cut_never_counts(tmp_path: Path) -> None:
    """Its header is whole, and so is the record after it. Neither this nor a later process may take it for stored."""
    store = Store(tmp_path, name="test")
    store.open()
    places = store.append([entry(3), entry(4), entry(5)])
    store.close()
    path = places[0].segment
    data = bytearray(path.read_bytes())
    data[places[1].payload_offset : places[1].end] = bytes(places[1].length)
    path.write_bytes(data)
    for number in (6, 7):  # In the second turn the segment is not the newest one any more.
        contents = store.open(check_payloads=False)
        assert 4 not in take(contents).values()
        assert [hole.missing for hole in contents.holes] == [range(1, 2)]
        store.append([entry(number)])
        store.close()
    assert list(take(read_store(tmp_path)).values()) == [3, 5, 6, 7]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from chunk_ppo_ros.data.store import Entry, Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path(sys.argv[1]), name="test")
store.open()
stored = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
for _ in range(20):
    try:
        store.append([Entry(1, "", stored, bytes([stored]) * 1500)])
    except OSError:
        break
    stored += 1
assert 3 < stored < 8, stored
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(3):
    store.append([Entry(1, "", stored, bytes([stored]) * 1500)])
    stored += 1
store.close()
print(stored)
"""


def test_a_full_disk_that_takes_some_bytes_without_an_error_loses_nothing(tmp_path: Path) -> None:
    """The limit of the file size makes a write return fewer bytes than asked for, without an error, as a full disk."""
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    contents = read_store(tmp_path)
    assert [place.key.number for place in contents.records] == list(range(int(result.stdout)))
    assert all(read_payload(place) == bytes([place.index]) * 1500 for place in contents.records)
    assert contents.is_whole and len(contents.segments) == 2


def test_after_many_restarts_nothing_is_lost_and_the_count_goes_on(tmp_path: Path) -> None:
    for number in range(100):
        store = Store(tmp_path, name="test")
        assert store.open().next_index == number
        store.append([entry(number)])
        store.close()
    assert take(read_store(tmp_path)) == {number: number for number in range(100)}


def test_a_message_that_is_never_settled_does_not_keep_all_later_segments(tmp_path: Path) -> None:
    for number in range(60):
        queue = StoredQueue(Store(tmp_path, name="test"))
        queue.open()
        key = Key(1, "robot_0", number)
        queue.put(key, payload(number), lambda error: None)
        queue.close()
        queue.open()
        assert number in (0, 20) or queue.settle(key)
        queue.close()
    assert len(list_segments(tmp_path)) <= MAX_SEGMENTS + 2
    queue = StoredQueue(Store(tmp_path, name="test"))
    queue.open()
    assert sorted(key.number for key in queue.pending()) == [0, 20]
    assert queue.read(Key(1, "robot_0", 20)) == payload(20)
    queue.close()


def test_a_store_is_read_without_holding_its_payloads(tmp_path: Path) -> None:
    store = Store(tmp_path, name="test")
    store.open()
    for number in range(40):
        store.append([Entry(1, "robot_0", number, bytes(2**20))])
    store.close()
    tracemalloc.start()
    contents = store.open()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.close()
    assert len(contents.records) == 40
    assert peak < 8 * 2**20


def test_headers_alone_are_read_where_payloads_are_not_checked(tmp_path: Path) -> None:
    store = Store(tmp_path, name="test")
    store.open()
    for number in range(10):
        store.append([Entry(1, "robot_0", number, bytes(2**20))])
    store.close()
    store.open()  # The payloads of the newest segment are read in any case.
    store.append([entry(10)])
    store.close()
    before = num_bytes_read()
    assert len(read_store(tmp_path, check_payloads=False).records) == 11
    assert num_bytes_read() - before < 2**19


def num_bytes_read() -> int:
    """Returns how many bytes this process has read."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def test_a_segment_that_cannot_be_taken_back_does_not_block_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, name="test")
    store.open()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr(os, "fdatasync", fail)
        failing.setattr(Path, "unlink", fail)
        with pytest.raises(OSError, match="Input/output error"):
            store.append([entry(0)])
    store.append([entry(0)])
    store.close()
    assert [place.key.number for place in read_store(tmp_path).records] == [0]
