"""Names the `step_<N>` folders of a run, finds the newest and removes old ones. Nothing here reads a checkpoint."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints import atomic_folder
from chunk_ppo_ros.model.checkpoints.checkpoint import METADATA

_PREFIX = "step_"
_STEP = re.compile(rf"{_PREFIX}(\d+)")


def step_folder(directory: Path, version: int) -> Path:
    """Returns the place of the checkpoint of a policy version, >= 0, below the folder of the run's checkpoints."""
    return directory / f"{_PREFIX}{version}"


def remove_unfinished(directory: Path) -> None:
    """Removes the folders that an interrupted save or removal left.

    One that cannot be removed stays. It hinders only a save of the same version, which says so.
    """
    for leftover in directory.glob(f"{atomic_folder.UNFINISHED}{_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def newest_checkpoint(directory: Path) -> Path | None:
    """Returns the finished `step_<N>` with the largest N, or None.

    Raises:
        CheckpointError: when the folder cannot be read.
    """
    return max(_finished(directory), key=step_of, default=None)


def finished_checkpoints(directory: Path) -> list[Path]:
    """Returns all finished `step_<N>`, the oldest first.

    Raises:
        CheckpointError: when the folder cannot be read.
    """
    return sorted(_finished(directory), key=step_of)


def step_folders(directory: Path) -> list[Path]:
    """Returns all `step_<N>`, the oldest first, also those without metadata, which somebody has damaged.

    Raises:
        CheckpointError: when the folder cannot be read.
    """
    return sorted(_steps(directory, Path.is_dir), key=step_of)


def remove_old_checkpoints(directory: Path, *, keep: int, in_use: Path) -> None:
    """Removes all finished checkpoints except the newest `keep` and the one in use.

    Args:
        directory: the folder of the run's checkpoints.
        keep: number of the newest checkpoints that stay.
        in_use: the checkpoint that other processes may be reading, which stays in any case.
    """
    oldest_first = sorted(_finished(directory), key=step_of)
    for old in oldest_first[: max(0, len(oldest_first) - keep)]:
        if old.resolve() != in_use.resolve():
            shutil.rmtree(old.rename(directory / f"{atomic_folder.UNFINISHED}{old.name}"))


def _finished(directory: Path) -> list[Path]:
    return _steps(directory, lambda folder: (folder / METADATA).is_file())


def _steps(directory: Path, counts: Callable[[Path], bool]) -> list[Path]:
    try:
        folders = directory.iterdir() if directory.is_dir() else ()
        return [folder for folder in folders if _STEP.fullmatch(folder.name) and counts(folder)]
    except OSError as error:
        raise CheckpointError(f"checkpoint {directory} cannot be read: {error}; mend its permissions") from error


def step_of(folder: Path) -> int:
    """Returns the policy version of a `step_<N>`, which is its N."""
    return int(folder.name.removeprefix(_PREFIX))
