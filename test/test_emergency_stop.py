"""Tests that an emergency stop holds until it is cleared."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunk_ppo_ros.robot.gate.emergency_stop import EmergencyStop


def test_it_holds_over_a_restart_with_its_first_reason(tmp_path: Path) -> None:
    file = tmp_path / "run" / "emergency_stop"
    stop = EmergencyStop(file)
    assert stop.reason == ""
    stop.stop("a person called it")
    stop.stop("and again")
    assert stop.reason == EmergencyStop(file).reason == "a person called it"
    stop.clear()
    assert stop.reason == EmergencyStop(file).reason == ""
    stop.clear()  # nothing to clear


def test_it_holds_where_its_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    stop = EmergencyStop(tmp_path / "run" / "emergency_stop")
    with pytest.raises(OSError, match="run"):
        stop.stop("a person called it")
    assert stop.reason == "a person called it"


def test_it_holds_where_its_file_cannot_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "emergency_stop"
    stop = EmergencyStop(file)
    stop.stop("a person called it")
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


def test_the_robot_stops_before_the_file_is_written(tmp_path: Path) -> None:
    file, seen = tmp_path / "emergency_stop", []
    stop = EmergencyStop(file)
    stop.stop("a person called it", first=lambda: seen.append((stop.reason, file.exists())))
    assert seen == [("a person called it", False)] and file.exists()
