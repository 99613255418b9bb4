"""Looks whether checkpoints of a run are whole, and says how a run goes on whose newest one is damaged.

A run that is to be resumed never goes on from an older checkpoint by itself, because its user must know of that. The
error names the command that goes back.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint, MissingCheckpoint
from chunk_ppo_ros.model.checkpoints import atomic_folder
from chunk_ppo_ros.model.checkpoints.checkpoint import ASSETS, PARAMS, TRAIN_STATE, Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import step_folders


def check_whole(folder: Path) -> Checkpoint:
    """Returns a checkpoint of a run, all files of which are as they were written. Arrays are not loaded.

    Raises:
        CheckpointError: when a file was changed or is missing; the first one is named.
    """
    checkpoint = Checkpoint.open(folder)
    checkpoint.require_metadata()
    try:
        for below in (PARAMS, TRAIN_STATE, ASSETS):
            atomic_folder.check_unchanged(checkpoint.root, checkpoint.checksums, below=below)
    except OSError as error:
        raise CheckpointError(f"checkpoint {folder} cannot be read: {error}; mend its permissions") from error
    checkpoint.load_consumed()
    return checkpoint


def newest_whole(directory: Path) -> Path | None:
    """Returns the newest checkpoint of a run that is whole, or None."""
    for folder in reversed(step_folders(directory)):
        with contextlib.suppress(CheckpointError):
            return check_whole(folder).root
    return None


@contextlib.contextmanager
def way_back(run: RunConfig, newest: Path) -> Iterator[None]:
    """Adds the command that goes back to an error that the newest checkpoint of a run is damaged.

    Args:
        run: the run that is to be resumed.
        newest: its newest checkpoint.

    Raises:
        CheckpointError: when the block raises one.
    """
    try:
        yield
    except (ContradictedCheckpoint, MissingCheckpoint):
        raise
    except CheckpointError as error:
        damage = _damage(newest)
        if damage is None:  # Something else is wrong, such as a setting.
            raise
        raise CheckpointError(f"{damage}; {_advice(run)}") from error


def rollback_command(run: RunConfig, step: str) -> str:
    """Returns the command that takes a run back to one of its checkpoints, as a shell takes it."""
    words = ["rollback", str(run.folder), "--to", step]
    beside = run.folder.absolute().parent.parent / "checkpoints" / run.folder.absolute().name
    if run.checkpoint_folder.absolute() != beside:
        words += ["--checkpoints", str(run.checkpoint_folder)]
    return command_line(shlex.join(words))


def _advice(run: RunConfig) -> str:
    whole = newest_whole(run.checkpoint_folder)
    if whole is None:
        return "no other checkpoint of the run is whole, so begin another run by --exp_name"
    return f"{whole.name} is whole, and the run goes on from it after `{rollback_command(run, whole.name)}`"


def _damage(folder: Path) -> CheckpointError | None:
    try:
        check_whole(folder)
    except CheckpointError as error:
        return error
    return None
