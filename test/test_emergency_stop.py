"""Tests that an emergency stop holds until it is cleared."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.robot.gate import emergency_stop
from chunk_ppo_ros.robot.gate.emergency_stop import EmergencyStop


def test_it_holds_over_a_restart_with_its_first_reason(tmp_path: Path) -> None:
    file = tmp_path / "run" / "emergency_stop"
    stop = EmergencyStop(file)
    assert stop.reason == ""
    stop.stop("a person called it")
    stop.stop("and again")
    stop.wait()
    assert stop.reason == EmergencyStop(file).reason == "a person called it"
    stop.clear()
    assert stop.reason == EmergencyStop(file).reason == ""
    stop.clear()  # nothing to clear


def test_it_holds_where_its_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    stop = EmergencyStop(tmp_path / "run" / "emergency_stop")
    errors: list[OSError] = []
    stop.stop("a person called it", on_error=errors.append)
    stop.wait()
    assert [str(tmp_path / "run") in str(error) for error in errors] == [True]
    assert stop.reason == "a person called it"


def test_it_holds_where_its_file_cannot_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "emergency_stop"
    stop = EmergencyStop(file)
    stop.stop("a person called it")
    stop.wait()
    file.unlink()
    file.mkdir()
    with pytest.raises(OSError, match="emergency_stop"):
        stop.clear()
    assert stop.reason == "a person called it"


def test_a_file_that_says_nothing_or_cannot_be_read_counts(tmp_path: Path) -> None:
    file = tmp_path / "emergency_stop"
    file.touch()
    stop = EmergencyStop(file)
    assert stop.reason == f"{file} is there, and is empty"
    stop.clear()
    assert EmergencyStop(file).reason == ""
    file.write_bytes(b"\xff\xfe")
    assert EmergencyStop(file).reason != ""
    file.unlink()
    file.mkdir()
    assert "cannot be read" in EmergencyStop(file).reason


def test_a_stop_waits_for_no_disk_and_is_cleared_after_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, disk = tmp_path / "emergency_stop", threading.Event()

    def write_slowly(path: Path, write: Callable[[BinaryIO], object], *, durable: bool) -> None:
        disk.wait(10.0)
        write_atomically(path, write, durable=durable)

    monkeypatch.setattr(emergency_stop, "write_atomically", write_slowly)
    stop = EmergencyStop(file)
    stop.stop("a person called it")
    assert stop.reason == "a person called it" and not file.exists()
    stop.wait(0.01)  # as the end of a node does
    threading.Timer(0.1, disk.set).start()
    stop.clear()
    assert stop.reason == "" and not file.exists()
