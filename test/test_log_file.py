"""Tests the log file of a process, also where the disk is full for a while."""

from __future__ import annotations

import os
import pathlib

import pytest

from chunk_ppo_ros.runtime.log_file import LogFile


class FullDisk:
    """Writes only so many bytes as there is room for, as the kernel does."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        """Writes what there is room for, and raises where there is none."""
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = min(self.room, len(data))
        self.room -= taken
        return self._write(descriptor, data[:taken])


def test_lines_are_appended_to_what_is_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "node.log"
    path.write_text("before\n")
    log = LogFile(path)
    assert log.append("one") is None and log.append("tw\u00f6") is None
    log.close()
    assert path.read_text(encoding="utf-8") == "before\none\ntw\u00f6\n"


def test_lines_of_a_full_disk_are_counted_and_the_first_is_reported(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.log"
    log, disk = LogFile(path), FullDisk(room=6)
    monkeypatch.setattr(os, "write", disk)
    assert log.append("one") is None
    error = log.append("two")
    assert error is not None and "only 2 of 4 bytes could be written" in str(error)
    assert [log.append(text) for text in ("three", "four")] == [None, None]
    disk.room = 1000
    assert log.append("five") is None
    log.close()
    assert path.read_text().splitlines() == ["one", "tw", "[3 lines could not be written]", "five"]


def test_a_file_that_cannot_be_opened_is_reported_and_opened_later(tmp_path: pathlib.Path) -> None:
    log = LogFile(tmp_path / "logs" / "node.log")
    assert isinstance(log.append("one"), FileNotFoundError) and log.append("two") is None
    (tmp_path / "logs").mkdir()
    assert log.append("three") is None
    assert (tmp_path / "logs" / "node.log").read_text() == "[2 lines could not be written]\nthree\n"
