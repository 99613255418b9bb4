"""Tests how a reader sees whether a file is still written, and what the page of a run says of it."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chunk_ppo_ros.config import PRESETS, RunConfig
from chunk_ppo_ros.core.files import writer_mark
from chunk_ppo_ros.core.files.writer_mark import is_marked, mark
from chunk_ppo_ros.reporting.metrics_file import MetricsFile
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.headline import state
from chunk_ppo_ros.reporting.page.run_data import RunData

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK"), reason="locks of an open file are of Linux, and pages say nothing without them"
)

CONFIG = dataclasses.replace(PRESETS["debug"], run=RunConfig(wandb=False))


def test_a_file_is_marked_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("ab") as file:
        place = mark(file)
        assert place is not None
        assert is_marked(path, place) is True
        assert is_marked(path, place) is True, "looking has changed something"
    assert is_marked(path, place) is False


def test_looking_keeps_no_writer_from_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("ab") as first:
        place = mark(first)
        with path.open("rb"), path.open("ab") as second:
            assert mark(second) is None, "two writers have marked one file"
    assert is_marked(path, place) is False
    with path.open("ab") as third:
        assert mark(third) == place


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_mark_is_gone_with_the_process_however_it_ended(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "file"
    program = (
        "import sys, time\n"
        "from chunk_ppo_ros.core.files.writer_mark import mark\n"
        "file = open(sys.argv[1], 'ab')\n"
        "assert mark(file) is not None\n"
        "print('marked', flush=True)\n"
        "time.sleep(3600.0)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"marked\n"
        with path.open("ab") as file:
            assert mark(file) is None
            place = writer_mark.place_of(file)
        assert is_marked(path, place) is True
        process.send_signal(number)
        process.wait()
    assert is_marked(path, place) is False


def test_what_cannot_be_known_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, copy = tmp_path / "file", tmp_path / "copy"
    with path.open("ab") as file:
        place = mark(file)
        shutil.copy(path, copy)
        assert is_marked(copy, place) is None, "a copy is not written, but the run may go on"
        assert is_marked(tmp_path / "missing", place) is None
        assert is_marked(path, None) is None, "an earlier version did not mark it"
        restart(monkeypatch, tmp_path, machine="another")
        assert is_marked(path, place) is None


def restart(monkeypatch: pytest.MonkeyPatch, folder: Path, *, machine: str) -> None:
    """Lets the machine have another boot from now on, and a name; an empty name is none."""
    boot, name = folder / "another_boot", folder / "machine-id"
    boot.write_text("another boot\n")
    name.write_text(f"{machine}\n")
    monkeypatch.setattr(writer_mark, "BOOT", boot)
    monkeypatch.setattr(writer_mark, "MACHINE", name if machine else folder / "missing")


def test_no_writer_lives_longer_than_the_boot_of_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, name = tmp_path / "file", tmp_path / "machine-id"
    name.write_text("mine\n")
    monkeypatch.setattr(writer_mark, "MACHINE", name)
    with path.open("ab") as file:
        place = mark(file)
        assert place is not None and "mine" not in str(place)
    earlier = {key: value for key, value in place.items() if key != "host"}
    assert is_marked(path, earlier) is False, "an earlier version did not say its host"
    for machine, expected in (("mine", False), ("another", None), ("", None)):
        restart(monkeypatch, tmp_path, machine=machine)
        assert is_marked(path, place) is expected
        assert is_marked(path, earlier) is None
    restart(monkeypatch, tmp_path, machine="mine")
    path.unlink()
    assert is_marked(path, place) is False, "files may have other numbers after a restart, and the process is gone"
    monkeypatch.setattr("socket.gethostname", lambda: "a container of the same image on another machine")
    assert is_marked(path, place) is None


def test_containers_of_one_machine_see_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    with path.open("ab") as file:
        place = mark(file)
        monkeypatch.setattr("socket.gethostname", lambda: "another container")
        assert is_marked(path, place) is True
    assert is_marked(path, place) is False


def test_where_the_system_has_no_such_locks_nothing_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    with path.open("ab") as file:
        monkeypatch.setattr(writer_mark, "BOOT", tmp_path / "missing")
        assert mark(file) is None
    with path.open("ab") as file:
        monkeypatch.delattr(fcntl, "F_OFD_SETLK")
        assert mark(file) is None


# The tests below check what the page of a run says.


def said(folder: Path) -> str:
    return state(RunData.read(folder), now=0.0).partition(" updates. ")[2].partition(" Its newest record")[0]


def test_the_page_says_whether_a_run_goes_on(tmp_path: Path) -> None:
    with MetricsLog.open(tmp_path, config=CONFIG, run_id="one-1"):
        assert said(tmp_path) == "It was running when this page was written."
        shutil.copytree(tmp_path, tmp_path / "copy")
    assert said(tmp_path) == "It no longer runs."
    assert said(tmp_path / "copy") == "It still runs, or was stopped."
    MetricsFile(tmp_path).close()  # as who adds an evaluation
    with MetricsLog.open(tmp_path, config=CONFIG, run_id="one-1"):
        assert said(tmp_path).startswith("It was running when this page was written. It was resumed once")


def test_a_run_that_was_killed_before_the_machine_was_started_again_no_longer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "machine-id"
    name.write_text("mine\n")
    monkeypatch.setattr(writer_mark, "MACHINE", name)
    MetricsLog.open(tmp_path, config=CONFIG, run_id="one-1").close()
    restart(monkeypatch, tmp_path, machine="mine")
    assert said(tmp_path) == "It no longer runs."
    restart(monkeypatch, tmp_path, machine="another")
    assert said(tmp_path) == "It still runs, or was stopped."


def test_a_run_of_an_earlier_version_may_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MetricsFile, "mark", lambda file: None)
    with MetricsLog.open(tmp_path, config=CONFIG, run_id="one-1"):
        assert said(tmp_path) == "It still runs, or was stopped."
