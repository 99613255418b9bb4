"""Tests that commands find a folder for the logs of ROS where the home of the user cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chunk_ppo_ros.nodes.common import ros_log_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a home without settings of ROS, and a place for temporary folders beside it."""
    for name in ("ROS_LOG_DIR", "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ros_log_folder.tempfile, "tempdir", str(tmp_path))
    return tmp_path / "home"


def test_the_folder_is_that_of_ros(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ros_log_folder.log_folder() == home / ".ros" / "log"
    monkeypatch.setenv("ROS_HOME", "~/ros")
    assert ros_log_folder.log_folder() == home / "ros" / "log"
    monkeypatch.setenv("ROS_LOG_DIR", "/logs")
    assert ros_log_folder.log_folder() == Path("/logs")


def test_a_folder_that_can_be_written_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ros_log_folder.ensure_log_folder()
    assert "ROS_LOG_DIR" not in os.environ and list((home / ".ros" / "log").iterdir()) == []
    assert capsys.readouterr().err == ""


def test_another_one_is_taken_and_said_where_it_cannot(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", "")  # so that it is restored
    home.touch()  # A file in the place of the folder is refused to everybody, also to root.
    ros_log_folder.ensure_log_folder()
    taken = Path(os.environ["ROS_LOG_DIR"])
    assert taken.is_dir() and taken.parent == home.parent
    told = f"ROS cannot write its logs to {home / '.ros' / 'log'} (Not a directory); they go to {taken}\n"
    assert capsys.readouterr().err == told
