"""Removes stored transitions of a stopped run, and takes a run back to an earlier checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from rosbags.serde import SerdeError

from chunk_ppo_ros.agent.run_start.whole_checkpoints import check_whole
from chunk_ppo_ros.agent.stored_run.run_folders import STORES, RunFolders
from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.errors import CheckpointError, UserError
from chunk_ppo_ros.core.files.durable_folders import make_folder, sync_folder
from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.rollout_journal import NAME, RolloutJournal
from chunk_ppo_ros.data.store import DamagedRecord
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import finished_checkpoints, step_folders, step_of

UNDONE = "undone"
"""The name of the folder, among the checkpoints of a run, into which those after a rollback are moved."""

_TRANSITION = "chunk_ppo_msgs/msg/Transition"


class _Chunk(Protocol):
    policy_version: int


class _Transition(Protocol):
    chunk: _Chunk


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What is left of the stored transitions after the oldest were removed.

    Attributes:
        removed: the removed files.
        num_bytes: the size of the files that are left, bytes.
        oldest: the name of the oldest checkpoint, to which the run can be taken back.
    """

    removed: tuple[Path, ...]
    num_bytes: int
    oldest: str


def prune(run: RunFolders, *, max_bytes: int, all_trained: bool = False) -> Pruned:
    """Removes the oldest stored transitions that were trained on.

    Args:
        run: the run, which must be stopped.
        max_bytes: the size that the journal may have, bytes. A file stays with a transition that waits for an update,
            that the newest update took, or that waits again after a rollback to any checkpoint of the run, and so do
            all later files.
        all_trained: whether files that only a rollback needs are removed too.

    Raises:
        UserError: when the run goes on, or has no checkpoint that says what was trained on.
        OSError: when a file cannot be removed.
    """
    checkpoints = finished_checkpoints(run.checkpoint_folder)
    if not checkpoints:
        raise CheckpointError(
            f"{run.checkpoint_folder} must have a checkpoint that says which transitions were trained on, got none; "
            "name the folder of the run's checkpoints by --checkpoints"
        )
    oldest, newest = checkpoints[0], checkpoints[-1]
    with _journal(run, Checkpoint.open(newest)) as journal:
        removed = journal.remove_oldest(max_bytes=max_bytes, rollback_to=None if all_trained else step_of(oldest))
        return Pruned(tuple(removed), journal.num_bytes, oldest.name)


def roll_back(run: RunFolders, step: str, *, leave_out: bool) -> list[str]:
    """Takes a stopped run back to one of its checkpoints, from which it goes on when it is resumed.

    The later checkpoints are moved into the folder `undone` beside them. The transitions of the undone updates wait for
    an update again, because the checkpoint says what was trained on.

    Args:
        run: the run.
        step: the name of the checkpoint, such as step_20.
        leave_out: whether those transitions are marked as ones that no update takes, but for those that the weights of
            the checkpoint have sampled.

    Returns:
        What was done, in lines.

    Raises:
        UserError: when the run goes on, or does not have the checkpoint, or it is damaged. A later one may be damaged.
        OSError: when a folder cannot be moved.
    """
    folders = step_folders(run.checkpoint_folder)
    names = [folder.name for folder in folders]
    if step not in names:
        raise UserError(
            f"--to must name a checkpoint of the run, got '{step}'; {run.checkpoint_folder} has "
            f"{', '.join(names) or 'none'}"
        )
    target, later = folders[names.index(step)], folders[names.index(step) + 1 :]
    checkpoint = check_whole(target)
    moved = clause(len(later), "checkpoint", f"after {step} is moved to", f"after {step} are moved to")
    lines = [f"{moved} {run.checkpoint_folder / UNDONE}"]
    if not (run.folder / STORES / NAME).is_dir():  # The command train stores no transitions.
        _undo(later, run)
        return [*lines, f"the run goes on from {step} when it is resumed"]
    with _journal(run, checkpoint) as journal:
        if leave_out:
            _leave_out(journal, checkpoint)
        waiting, gone = len(journal.waiting()), _gone(journal, checkpoint, later)
        _undo(later, run)
    left = clause(waiting, "stored transition", "waits", "wait")
    lines.append(f"{left} for an update; the run goes on from {step} when it is resumed")
    if gone:
        undone = clause(gone, "transition", "of the undone updates is", "of the undone updates are")
        lines.append(f"{undone} not stored any more (run.max_disk)")
    return lines


def _undo(later: Sequence[Path], run: RunFolders) -> None:
    for folder in reversed(later):  # The newest goes first, so that the run may go on after any of these moves.
        _move(folder, run.checkpoint_folder / UNDONE)


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


def _leave_out(journal: RolloutJournal, checkpoint: Checkpoint) -> None:
    """Marks the waiting transitions that later weights than those of a checkpoint have sampled.

    Raises:
        OSError: when a mark cannot be stored.
        UserError: when the definitions of messages are not installed.
    """
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    later = _sampled_later(journal, checkpoint.policy_version)
    for key in later:
        journal.leave_out(key, f"the run was taken back to {checkpoint.root.name}", results.put)
    for error in [results.get() for _ in later]:
        if error is not None:
            raise error


def _sampled_later(journal: RolloutJournal, version: int) -> list[ChunkKey]:
    """Returns the waiting transitions that weights after a version have sampled, or that cannot be read."""
    try:
        types = load_types([_TRANSITION])
    except FileNotFoundError as error:
        raise UserError(f"{error}; install the messages of this package, as `make setup` does") from error
    found = []
    for key in journal.waiting():
        with contextlib.suppress(DamagedRecord, SerdeError):
            raw = journal.read(key)
            message: _Transition = types.deserialize_cdr(raw or b"", _TRANSITION)  # type: ignore[assignment]
            if message.chunk.policy_version <= version:
                continue
        found.append(key)
    return found


def _gone(journal: RolloutJournal, checkpoint: Checkpoint, later: Sequence[Path]) -> int:
    """Returns how many transitions of undone updates are not stored, as the newest later checkpoint knows them."""
    before, stored = checkpoint.load_consumed().chunks, set(journal.keys())
    for folder in reversed(later):
        with contextlib.suppress(CheckpointError):  # A damaged checkpoint is a reason for a rollback.
            undone = Checkpoint.open(folder).load_consumed().chunks
            return sum(key not in before and key not in stored for key in undone)
    return 0


def _move(folder: Path, target: Path) -> None:
    """Moves a folder into another one, under a name that is free there."""
    make_folder(target)
    names = (folder.name if count == 1 else f"{folder.name}_{count}" for count in range(1, 10_000))
    folder.rename(next(target / name for name in names if not (target / name).exists()))
    sync_folder(target)
    sync_folder(folder.parent)
