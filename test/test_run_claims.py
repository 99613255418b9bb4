"""Tests that one process alone runs in the folder of a run, and what a claim leaves behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.runtime.claims import run_folder
from chunk_ppo_ros.runtime.claims.run_folder import LOCK, claim_run
from support.started_graphs import Start, starter

REFUSED = (
    r"run\.exp_name must be the name of a run that nothing else runs now, got the one in \S+, which process \d+ on"
)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    return starter(monkeypatch)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Returns a function by which the process goes on as another user, or in a container with its own /tmp."""

    def go() -> None:
        marks = tmp_path_factory.mktemp("marks")
        monkeypatch.setattr(run_folder, "folder_of_marks", lambda: marks)

    return go


def places(folder: Path) -> list[str]:
    return ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "kept"), "--no_wandb"]


def test_a_graph_elsewhere_is_refused_before_it_writes_anything(tmp_path: Path, start: Start, elsewhere: Any) -> None:
    settings = start([*places(tmp_path), "--gamma", "0.5"]).graph.parameter_file
    before = settings.read_text()
    with claim_run(settings.parent):
        elsewhere()
        with pytest.raises(SettingError, match=REFUSED):
            start([*places(tmp_path), "--gamma", "0.9"])
        assert settings.read_text() == before
    assert sorted(path.name for path in settings.parent.iterdir()) == ["params.yaml"]
    start([*places(tmp_path), "--gamma", "0.9"])
    assert settings.read_text() != before


def test_a_training_is_refused_while_a_graph_runs(tmp_path: Path, elsewhere: Any) -> None:
    with claim_run(tmp_path / "runs" / "debug"):
        elsewhere()
        with pytest.raises(SettingError, match=REFUSED):
            train.main(places(tmp_path))
        assert [path.name for path in (tmp_path / "runs" / "debug").iterdir()] == [LOCK]
    assert not (tmp_path / "kept").exists()


def test_the_claim_of_a_killed_process_hinders_nobody(tmp_path: Path, elsewhere: Any) -> None:
    program = (
        "import sys; from pathlib import Path; from chunk_ppo_ros.runtime.claims.run_folder import hold_run\n"
        "hold_run(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        for _ in range(2):
            with pytest.raises(SettingError, match=f"process {process.pid} on"), claim_run(tmp_path):
                pass
            elsewhere()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / LOCK).exists()
    with claim_run(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_process_that_ends_leaves_no_file_behind(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from chunk_ppo_ros.runtime.claims.run_folder import hold_run\n"
        "hold_run(Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a" / "b")], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_the_claim_made_go_where_nothing_came_into_them(tmp_path: Path) -> None:
    with claim_run(tmp_path / "runs" / "one" / "a"):
        (tmp_path / "runs" / "one" / "file").touch()
    assert [path.name for path in (tmp_path / "runs" / "one").iterdir()] == ["file"]
    with claim_run(tmp_path / "runs" / "one"):
        pass
    assert (tmp_path / "runs" / "one" / "file").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_folder_whose_file_system_has_no_locks_is_claimed_on_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], elsewhere: Any, number: int
) -> None:
    lock = fcntl.flock

    def refuse(file: Any, kind: int) -> None:
        if isinstance(file, int) and Path(f"/proc/self/fd/{file}").readlink() == tmp_path / "one" / LOCK:
            raise OSError(number, os.strerror(number))
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", refuse)
    with claim_run(tmp_path / "one"):
        said = capsys.readouterr().err
        assert said.startswith(f"whether another process runs in {tmp_path / 'one'} cannot be known: ")
        assert os.strerror(number) in said
        with pytest.raises(SettingError, match=REFUSED), claim_run(tmp_path / "one"):
            pass
        elsewhere()
        with claim_run(tmp_path / "one"):
            pass


def test_a_file_that_another_user_has_left_is_held_without_writing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], elsewhere: Any
) -> None:
    (tmp_path / LOCK).write_text("process 1 on a machine\n")
    opened = os.open

    def refuse(path: Any, access: int, *mode: int) -> int:
        if path == tmp_path / LOCK and access & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, access, *mode)

    monkeypatch.setattr(os, "open", refuse)
    with claim_run(tmp_path):
        elsewhere()
        with pytest.raises(SettingError, match="which process 1 on a machine holds"), claim_run(tmp_path):
            pass
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SettingError, match="run.run_dir must be in a folder that can be written"),
        claim_run(tmp_path / "file" / "one"),
    ):
        pass
