"""Tests the store of the transitions that cannot be trained on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.set_aside import SetAsideStore, SetAsideTransition, read_set_aside
from chunk_ppo_ros.data.store import StoreLocked
from support.patience import PATIENCE

ID = ChunkId("run", 2**64 - 1, 4, 2, "robot_0")


def transition(number: int = 3, *, message: bytes = b"\n\x00message\n") -> SetAsideTransition:
    return SetAsideTransition(ChunkId("run", number, 4, 2), "reward must be within -20..20", message)


def put(store: SetAsideStore, *transitions: SetAsideTransition) -> list[OSError | None]:
    """Stores transitions, and returns the answers when all have come."""
    answers: list[OSError | None] = []
    done = threading.Semaphore(0)

    def on_stored(error: OSError | None) -> None:
        answers.append(error)
        done.release()

    for one in transitions:
        store.put(one, on_stored)
    assert all(done.acquire(timeout=PATIENCE) for _ in transitions)
    return answers


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SetAsideStore]:
    store = SetAsideStore(tmp_path / "set_aside", max_bytes=4000, segment_bytes=1000)
    store.open("run")
    yield store
    store.close()


def test_what_is_set_aside_is_read_back_with_its_reason(store: SetAsideStore, tmp_path: Path) -> None:
    other = SetAsideTransition(ID, "|ratio - 1| ünd so on", b"")
    nameless = SetAsideTransition(None, "it cannot be read", b"\x00\x01")
    assert put(store, transition(), other, nameless) == [None] * 3
    assert read_set_aside(tmp_path / "set_aside") == [transition(), other, nameless]


def test_a_repetition_is_answered_and_stored_once(store: SetAsideStore, tmp_path: Path) -> None:
    for _ in range(3):
        assert put(store, transition()) == [None]
    put(store, transition(message=b"other"))
    assert len(read_set_aside(tmp_path / "set_aside")) == 2


def test_the_oldest_are_removed_where_there_are_too_many(store: SetAsideStore, tmp_path: Path) -> None:
    for number in range(60):
        put(store, transition(number, message=b"x" * 200))
    kept = [one.id.sequence_number for one in read_set_aside(tmp_path / "set_aside") if one.id]
    assert kept == list(range(60 - len(kept), 60)) and 5 <= len(kept) <= 12
    assert sum(path.stat().st_size for path in (tmp_path / "set_aside").glob("*.log")) <= 5000


def test_long_names_and_reasons_are_shortened(store: SetAsideStore, tmp_path: Path) -> None:
    put(store, SetAsideTransition(ChunkId("r" * 10**6, 1, 1, 1, "ü" * 10**6), "x" * 10**6, b"whole"))
    (read,) = read_set_aside(tmp_path / "set_aside")
    assert read.id is not None and read.message == b"whole"
    assert (len(read.id.run_id), len(read.id.sender), len(read.reason)) == (2000, 2000, 2000)


def test_a_store_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for number in range(3):
        store = SetAsideStore(tmp_path, max_bytes=4000, segment_bytes=1000)
        store.open("run")
        put(store, transition(number))
        with pytest.raises(StoreLocked):
            SetAsideStore(tmp_path).open("run")
        store.close()
    assert [one.id.sequence_number for one in read_set_aside(tmp_path) if one.id] == [0, 1, 2]


def test_an_error_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SetAsideStore(tmp_path / "set_aside")
    store.open("run")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.writev", fail)
        (error,) = put(store, transition())
        assert isinstance(error, OSError)
    assert put(store, transition()) == [None]
    store.close()


def test_a_store_must_be_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="must be opened before it is used"):
        SetAsideStore(tmp_path).put(transition(), print)
