"""Opens the checkpoint that a run goes on from or begins with, once, for all who ask for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint


@dataclasses.dataclass(frozen=True)
class StartingCheckpoint:
    """The checkpoint that a run goes on from (`run.resume`) or begins with (`run.pretrained_checkpoint_path`).

    Attributes:
        opened: the checkpoint, or None if the run begins with fresh weights or the checkpoint cannot be opened.
        error: why the checkpoint cannot be opened, or None if it is opened or the run has none.
    """

    opened: Checkpoint | None = None
    error: CheckpointError | None = None

    @classmethod
    def of(cls, run: RunConfig) -> StartingCheckpoint:
        """Opens the checkpoint that the section `run` names. It raises no error, but keeps it for `require`."""
        try:
            return cls(_open(run))
        except CheckpointError as error:
            return cls(error=error)

    def require(self) -> Checkpoint:
        """Returns the checkpoint.

        Raises:
            CheckpointError: when it cannot be opened, or the run has none.
        """
        if self.error is not None:
            raise self.error
        if self.opened is None:
            raise CheckpointError(
                "the run must name a checkpoint to start from, got fresh weights; set --pretrained_checkpoint_path"
            )
        return self.opened


def _open(run: RunConfig) -> Checkpoint | None:
    if not run.resume:
        return Checkpoint.open(Path(run.pretrained_checkpoint_path)) if run.pretrained_checkpoint_path else None
    directory = run.checkpoint_folder
    newest = newest_checkpoint(directory)
    if newest is None:
        raise CheckpointError(f"{directory} holds no finished checkpoint to resume from; start without --resume")
    return Checkpoint.open(newest)
