"""Tests the lock by which one process holds a file."""

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

from chunk_ppo_ros.core.files.file_lock import FileHeld, FileLock

HOLDER = (
    "import sys; from pathlib import Path; from chunk_ppo_ros.core.files.file_lock import FileLock\n"
    "lock = FileLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def test_a_file_is_held_by_one_process_until_its_death(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(FileHeld, match=f"^process {process.pid} on "):
            FileLock(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
    FileLock(path).release()
    assert path.exists(), "a file that is released stays"


def test_a_file_that_is_removed_hinders_nobody(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    first = FileLock(path)
    with pytest.raises(FileHeld):
        FileLock(path)
    first.remove()
    assert not path.exists()
    FileLock(path).remove()


def test_two_never_hold_a_file_because_its_holder_removed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has opened the file already when the first one removes it, and must not hold what is gone."""
    path = tmp_path / "LOCK"
    first, lock = FileLock(path), fcntl.flock

    def removed_before(descriptor: int, kind: int) -> None:
        monkeypatch.undo()
        first.remove()
        lock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    second = FileLock(path)
    with pytest.raises(FileHeld):
        FileLock(path)
    second.remove()
    assert not path.exists()


def test_a_file_that_somebody_else_has_put_in_its_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    first = FileLock(path)
    path.unlink()
    second = FileLock(path)
    first.remove()
    assert path.exists()
    second.remove()


def test_a_file_of_another_user_can_be_held(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    path.write_text("process 1 on a machine\n")
    held = FileLock(path, access=os.O_RDONLY)
    with pytest.raises(FileHeld, match="process 1 on a machine"):
        FileLock(path)
    held.release()


def test_a_file_that_only_its_holder_can_read_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SMB, each reading of a held file by anybody else fails (flock(2), "CIFS details")."""
    path = tmp_path / "LOCK"
    first = FileLock(path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    def refuse(*_: Any) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(FileHeld, match="^another process$"):
        FileLock(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "the file is still open"
    first.remove()


def test_everybody_can_open_a_held_file_whatever_the_mask_of_its_holder(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lock = FileLock(tmp_path / "LOCK")
    finally:
        os.umask(before)
    assert (tmp_path / "LOCK").stat().st_mode & 0o777 == 0o644
    lock.remove()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="no locks here"):
        FileLock(tmp_path / "LOCK")
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "the file is still open"
