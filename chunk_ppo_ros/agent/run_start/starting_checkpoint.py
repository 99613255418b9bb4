"""Opens the checkpoint that a run goes on from or begins with, once, for all who ask for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NoReturn

from chunk_ppo_ros.agent.run_start.whole_checkpoints import way_back
from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint, step_folder, step_folders


@dataclasses.dataclass(frozen=True)
class NoCheckpoint:
    """A run names no checkpoint, so it begins with fresh weights."""

    def require(self) -> NoReturn:
        """Raises CheckpointError, because a checkpoint is needed and the run has none."""
        raise CheckpointError(
            "the run must name a checkpoint to start from, got fresh weights; set --pretrained_checkpoint_path"
        )


@dataclasses.dataclass(frozen=True)
class OpenedCheckpoint:
    """The checkpoint that a run names is opened."""

    checkpoint: Checkpoint

    def require(self) -> Checkpoint:
        """Returns the checkpoint."""
        return self.checkpoint


@dataclasses.dataclass(frozen=True)
class UnreadableCheckpoint:
    """The checkpoint that a run names cannot be opened, for the reason that `error` says."""

    error: CheckpointError

    def require(self) -> NoReturn:
        """Raises `error`, because the checkpoint is needed."""
        raise self.error


StartingCheckpoint = NoCheckpoint | OpenedCheckpoint | UnreadableCheckpoint
"""What is known of the checkpoint that a run starts from. `require` returns the checkpoint or raises an error."""


def open_start(run: RunConfig) -> StartingCheckpoint:
    """Opens the checkpoint that a run goes on from (`run.resume`) or begins with, without raising an error."""
    return _open_newest(run) if run.resume else open_pretrained(run)


def open_pretrained(run: RunConfig) -> StartingCheckpoint:
    """Opens the checkpoint at `run.pretrained_checkpoint_path`, without raising an error."""
    path = run.pretrained_checkpoint_path
    return _open(Path(path)) if path else NoCheckpoint()


def check_is_new(run: RunConfig) -> None:
    """Refuses a new run in the folder of another one.

    Raises:
        CheckpointError: when the folder has a checkpoint.
    """
    newest = newest_checkpoint(run.checkpoint_folder)
    if newest is not None:
        raise CheckpointError(
            f"{run.checkpoint_folder} already holds {newest.name} of an earlier run; "
            "go on with --resume, or choose another --exp_name"
        )


def has_trained(run: RunConfig) -> bool:
    """Returns whether the run of these folders has made an update, whose checkpoint is on disk then."""
    newest = newest_checkpoint(run.checkpoint_folder)
    return newest is not None and newest != step_folder(run.checkpoint_folder, 0)


def way_to_go_on(run: RunConfig) -> str:
    """Returns a line that says from which checkpoint a stopped run goes on, and how; empty where it has none."""
    newest = newest_checkpoint(run.checkpoint_folder)
    return f"the newest checkpoint is {newest}; the same command with --resume goes on from it" if newest else ""


def _open_newest(run: RunConfig) -> StartingCheckpoint:
    directory = run.checkpoint_folder
    folders = step_folders(directory)
    if not folders:
        text = f"{directory} holds no finished checkpoint to resume from; start without --resume"
        return UnreadableCheckpoint(CheckpointError(text))
    try:
        with way_back(run, folders[-1]):
            return OpenedCheckpoint(Checkpoint.open(folders[-1]))
    except CheckpointError as error:
        return UnreadableCheckpoint(error)


def _open(path: Path) -> StartingCheckpoint:
    try:
        return OpenedCheckpoint(Checkpoint.open(path))
    except CheckpointError as error:
        return UnreadableCheckpoint(error)
