"""Removes stored transitions of a stopped run, and takes a run back to an earlier checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chunk_ppo_ros.agent.stored_run.run_folders import STORES, RunFolders
from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.errors import CheckpointError, UserError
from chunk_ppo_ros.core.files.durable_folders import make_folder, sync_folder
from chunk_ppo_ros.data.rollout_journal import NAME, RolloutJournal
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import finished_checkpoints, newest_checkpoint

UNDONE = "undone"
"""The name of the folder, among the checkpoints of a run, into which those after a rollback are moved."""


def prune(run: RunFolders, *, max_bytes: int) -> list[Path]:
    """Removes the oldest stored transitions that were trained on, and returns the removed files.

    Args:
        run: the run, which must be stopped.
        max_bytes: the size that the journal may have, bytes. A file with a transition that waits for an update stays,
            and so do all later ones.

    Raises:
        UserError: when the run goes on, or has no checkpoint that says what was trained on.
        OSError: when a file cannot be removed.
    """
    newest = newest_checkpoint(run.checkpoint_folder)
    if newest is None:
        raise CheckpointError(
            f"{run.checkpoint_folder} must have a checkpoint that says which transitions were trained on, got none; "
            "name the folder of the run's checkpoints by --checkpoints"
        )
    with _journal(run, Checkpoint.open(newest)) as journal:
        return journal.remove_oldest(max_bytes=max_bytes)


def roll_back(run: RunFolders, step: str, *, leave_out: bool) -> list[str]:
    """Takes a stopped run back to one of its checkpoints, from which it goes on when it is resumed.

    The later checkpoints are moved into the folder `undone` beside them. The transitions of the undone updates wait for
    an update again, because the checkpoint says what was trained on.

    Args:
        run: the run.
        step: the name of the checkpoint, such as step_20.
        leave_out: whether those transitions are marked as ones that no update takes, but for those of the first undone
            update, which the weights of the checkpoint have sampled.

    Returns:
        What was done, in lines.

    Raises:
        UserError: when the run goes on, or does not have the checkpoint.
        OSError: when a folder cannot be moved.
    """
    folders = finished_checkpoints(run.checkpoint_folder)
    names = [folder.name for folder in folders]
    if step not in names:
        raise UserError(
            f"--to must name a checkpoint of the run, got '{step}'; {run.checkpoint_folder} has "
            f"{', '.join(names) or 'none'}"
        )
    target, later = folders[names.index(step)], folders[names.index(step) + 1 :]
    checkpoint = Checkpoint.open(target)
    newest = Checkpoint.open(folders[-1]).load_consumed()
    if leave_out:
        _leave_out(run, checkpoint, newest)
    with _journal(run, checkpoint) as journal:
        waiting = len(journal.waiting())
        for folder in reversed(later):  # The newest goes first, so that the run may go on after any of these moves.
            _move(folder, run.checkpoint_folder / UNDONE)
    return [
        f"{len(later)} checkpoints after {step} are moved to {run.checkpoint_folder / UNDONE}",
        f"{waiting} stored transitions wait for an update; the run goes on from {step} when it is resumed",
    ]


@contextlib.contextmanager
def _journal(run: RunFolders, checkpoint: Checkpoint) -> Iterator[RolloutJournal]:
    """Opens the journal of a run as a checkpoint knows it. A run that goes on holds its lock, and is refused."""
    journal = RolloutJournal(run.folder / STORES / NAME)
    journal.open()
    try:
        journal.begin_run(checkpoint.require_metadata().counters.run_id, checkpoint.load_consumed())
        yield journal
    finally:
        journal.close()


def _leave_out(run: RunFolders, checkpoint: Checkpoint, newest: Consumed) -> None:
    """Marks the waiting transitions that later weights than those of a checkpoint have sampled.

    Raises:
        OSError: when a mark cannot be stored.
    """
    following = newest.updates.get(checkpoint.policy_version + 1)
    kept = set(following.chunks) if following else set()
    results: list[OSError | None] = []
    with _journal(run, checkpoint) as journal:
        for key in journal.waiting():
            if key not in kept:
                journal.leave_out(key, f"the run was taken back to {checkpoint.root.name}", results.append)
    for error in filter(None, results):
        raise error


def _move(folder: Path, target: Path) -> None:
    """Moves a folder into another one, under a name that is free there."""
    make_folder(target)
    names = (folder.name if count == 1 else f"{folder.name}_{count}" for count in range(1, 10_000))
    folder.rename(next(target / name for name in names if not (target / name).exists()))
    sync_folder(target)
    sync_folder(folder.parent)
