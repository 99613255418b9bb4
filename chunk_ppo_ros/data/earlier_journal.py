"""Takes over the journal of an earlier release, which kept each transition in a file of its own.

Its files are `<run>/journal/v<policy version>/<sequence number>.cdr`, each with a line that names the format of its
message, and then the message in CDR. There was one robot, whose name is `robot_0`.
"""

from __future__ import annotations

import queue
import shutil
from pathlib import Path

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.rollout_journal import RolloutJournal

EARLIER = "journal"
"""The name of the folder of such a journal in the folder of a run."""

_FIRST_LINE = b"chunk_ppo_ros transition, message format %d\n" % FORMAT


def earlier_transitions(run_folder: Path) -> tuple[ChunkKey, ...]:
    """Returns the transitions that an earlier release has left in the folder of a run."""
    return tuple((DEFAULT_SENDER, int(path.stem)) for path in sorted((run_folder / EARLIER).glob("v*/*.cdr")))


def take_over(folder: Path, journal: RolloutJournal) -> None:
    """Moves the transitions of a journal of an earlier release into the journal of this one, and removes the folder.

    Args:
        folder: the folder of the earlier journal, which may be missing.
        journal: the journal, which is begun.

    Raises:
        DiskError: when a file cannot be read, or the transitions cannot be stored. The folder stays then.
        UserError: when a message has another format than the one that this version of the package reads.
    """
    with usable(folder, "a folder whose transitions can be moved to the journal"):
        _take_over(folder, journal)


def _take_over(folder: Path, journal: RolloutJournal) -> None:
    messages = {path: _message(path) for path in sorted(folder.glob("v*/*.cdr"))}
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    new = {(DEFAULT_SENDER, int(path.stem)): message for path, message in messages.items()}
    new = {key: message for key, message in new.items() if not journal.has(key)}
    for key, message in new.items():
        journal.add(key, message, results.put)
    for error in [results.get() for _ in new]:
        if error is not None:
            raise error
    if folder.is_dir():
        shutil.rmtree(folder)


def _message(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_FIRST_LINE):
        raise UserError(
            f"a journaled transition must have message format {FORMAT}, got another one in {path}; go on with the "
            f"version of chunk_ppo_ros that wrote it until the next update, or remove {path.parent} and have its "
            "chunks sampled again"
        )
    return content.removeprefix(_FIRST_LINE)
