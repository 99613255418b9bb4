"""Tests that the program of docs/store-format.md reads every store as this package does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chunk_ppo_ros.data.store import Entry, Store, read_payload, read_store
from chunk_ppo_ros.data.store.segment_file import list_segments

PAGE = Path(__file__).resolve().parents[1] / "docs" / "store-format.md"
Row = tuple[int, int, str, int, bytes]
Records = Callable[[Path], Iterator[Row]]


@pytest.fixture(scope="module")
def records() -> Records:
    """The function of the page."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert program.count("\n") <= 27
    names: dict[str, Records] = {}
    exec(program, names)
    return names["records"]


def ours(folder: Path) -> list[Row]:
    """Returns what this package reads."""
    return [
        (place.index, place.key.kind, place.key.sender, place.key.number, read_payload(place))
        for place in read_store(folder).records
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of three segments, whose payloads hold the magic of records."""
    store = Store(tmp_path, name="test", run_id="run", segment_bytes=400)
    store.open()
    for number in range(9):
        store.append([Entry(number, "robot_é", number, b"CPR1 and more" * number)])
    store.close()
    assert len(list_segments(tmp_path)) == 3
    return tmp_path


def test_the_program_of_the_page_reads_a_store(folder: Path, records: Records) -> None:
    assert list(records(folder)) == ours(folder)
    assert [row[0] for row in ours(folder)] == list(range(9))


def test_the_program_of_the_page_reads_what_damage_has_left(folder: Path, records: Records) -> None:
    for path in list_segments(folder):
        data = path.read_bytes()
        for offset in range(0, len(data), 3):
            path.write_bytes(data[:offset] + bytes([data[offset] ^ 64]) + data[offset + 1 :])
            assert list(records(folder)) == ours(folder), offset
            path.write_bytes(data[:offset])
            assert list(records(folder)) == ours(folder), offset
        path.write_bytes(data)


def test_the_program_of_the_page_leaves_out_what_was_written_again(folder: Path, records: Records) -> None:
    first, second, _ = list_segments(folder)
    first.write_bytes(first.read_bytes() + second.read_bytes()[read_store(folder).records[-6].offset :])
    assert list(records(folder)) == ours(folder)
    assert [row[0] for row in ours(folder)] == list(range(9))
