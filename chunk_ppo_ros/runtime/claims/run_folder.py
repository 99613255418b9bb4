"""Claims the folder of a run, so that two processes do not run in it by accident.

A second one would replace the settings that the nodes of the first read when they are started anew, such as the limits
of its robot. There are two locks. One is in the folder itself, and is seen by all who see the folder: other users,
containers that mount it, and other machines where its file system has locks between machines. The other one is on this
machine. It keeps one user from using a folder twice where the file system of the folder has no locks.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.files.file_lock import FileHeld, FileLock
from chunk_ppo_ros.core.folders import NewFolders, check_folder
from chunk_ppo_ros.runtime.ros_domain import folder_of_marks

LOCK = "LOCK"
"""The name of the file in the folder of a run that is there while a process runs in the folder."""

_HELD = contextlib.ExitStack()


@contextlib.contextmanager
def claim_run(folder: Path) -> Iterator[None]:
    """Lets one process alone use the folder of a run within the context, before anything is written there.

    The folder is made where it is missing, and removed again where nothing came into it.

    Args:
        folder: the folder of the run.

    Raises:
        SettingError: when another process uses the folder, or it cannot be made or written.
    """
    with contextlib.ExitStack() as claims:
        try:
            claims.callback(_lock_on_machine(folder).release)
            claims.callback(NewFolders(folder).remove_empty)
            check_folder(folder, "run.run_dir")
            lock = _lock_in(folder)
        except FileHeld as error:
            raise SettingError(
                f"run.exp_name must be the name of a run that nothing else runs now, got the one in {folder}, which "
                f"{error.holder} holds; end that first, or take another name"
            ) from error
        if lock is not None:
            claims.callback(lock.remove)
        yield


def hold_run(folder: Path) -> None:
    """Claims the folder of a run until this process ends.

    Raises:
        SettingError: as `claim_run` does.
    """
    atexit.register(_HELD.close)
    _HELD.enter_context(claim_run(folder))


def _lock_on_machine(folder: Path) -> FileLock:
    """Holds a file of this user on this machine that stands for the folder."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    marks = folder_of_marks()
    marks.mkdir(exist_ok=True)
    return FileLock(marks / f"run_{name}")


def _lock_in(folder: Path) -> FileLock | None:
    """Holds a file in the folder. It returns None, and says why, where nobody can know whether another one holds it."""
    path = folder / LOCK
    try:
        try:
            return FileLock(path)
        except PermissionError:  # It is of another user, who may be killed by now.
            return FileLock(path, access=os.O_RDONLY)
    except OSError as error:
        print(f"whether another process runs in {folder} cannot be known: {error}", file=sys.stderr, flush=True)
        return None
