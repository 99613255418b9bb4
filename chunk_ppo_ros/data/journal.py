"""Keeps transitions and the count of chunks on disk, so that nothing is lost when the process of a node dies.

A file is written under a temporary name and then renamed, so that a file under its own name is whole. Files survive the
death of the process. They are not forced out of the machine's write cache, so that a power cut may lose the newest
ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.message_format import FORMAT

_SUFFIX = ".cdr"
_TEMPORARY_SUFFIX = ".tmp"
_FIRST_LINE = b"chunk_ppo_ros transition, message format %d\n" % FORMAT
"""The first line of a journaled transition. Its serialized message follows."""


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that it exists whole or not at all. Its folder is made if it is missing.

    Raises:
        OSError: when the file cannot be written. No temporary file is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + _TEMPORARY_SUFFIX)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class TransitionJournal:
    """Keeps accepted transitions that are not trained on yet, each in `<folder>/v<version>/<sequence number>.cdr`.

    A file has a line that names the format of its message, and then the message in CDR.

    Args:
        folder: the folder of the journal. It is made when the first transition is added.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, message: bytes, *, version: int, sequence_number: int) -> None:
        """Keeps one serialized Transition message.

        Raises:
            OSError: when the file cannot be written, for example because the disk is full.
        """
        write_atomically(self._path(version, sequence_number), _FIRST_LINE + message)

    def remove(self, sequence_numbers: Iterable[int], *, version: int) -> None:
        """Removes some transitions of a version. Numbers without a transition are ignored."""
        for sequence_number in sequence_numbers:
            self._path(version, sequence_number).unlink(missing_ok=True)

    def read(self, *, version: int) -> dict[int, bytes]:
        """Returns the messages of a version by their sequence numbers, in ascending order.

        Raises:
            UserError: where a message has another format than the one that this version of the package writes.
        """
        folder = self._version_folder(version)
        paths = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: int(path.stem)) if folder.is_dir() else []
        return {int(path.stem): self._message(path) for path in paths}

    def clear(self, *, keep_version: int | None = None) -> list[str]:
        """Removes all versions but `keep_version`, and returns the names of the removed folders."""
        kept = None if keep_version is None else self._version_folder(keep_version)
        removed = [path for path in sorted(self._folder.glob("v*")) if path != kept]
        for path in removed:
            shutil.rmtree(path)
        return [path.name for path in removed]

    @staticmethod
    def _message(path: Path) -> bytes:
        content = path.read_bytes()
        if not content.startswith(_FIRST_LINE):
            raise UserError(
                f"a journaled transition must have message format {FORMAT}, got another one in {path}; go on with the "
                f"version of chunk_ppo_ros that wrote it until the next update, or remove {path.parent} and have its "
                "chunks sampled again"
            )
        return content.removeprefix(_FIRST_LINE)

    def _version_folder(self, version: int) -> Path:
        return self._folder / f"v{version}"

    def _path(self, version: int, sequence_number: int) -> Path:
        return self._version_folder(version) / f"{sequence_number}{_SUFFIX}"


class SequenceFile:
    """Keeps the sequence number of the next chunk, so that a restarted policy_node uses no number twice.

    Args:
        path: the path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, run_id: str) -> int:
        """Returns the next sequence number of a run, or 0 where there is no file or the file is of another run.

        Raises:
            UserError: when the file has other content.
        """
        if not self._path.exists():
            return 0
        try:
            stored = json.loads(self._path.read_text())
            return int(stored["next_sequence_number"]) if stored["run_id"] == run_id else 0
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._path} must hold run_id and next_sequence_number, got {self._path.read_text()!r}; remove it "
                "to number the chunks from what trainer_node has seen"
            ) from error

    def write(self, run_id: str, next_sequence_number: int) -> None:
        """Stores the next sequence number.

        Raises:
            OSError: when the file cannot be written.
        """
        content = json.dumps({"run_id": run_id, "next_sequence_number": next_sequence_number})
        write_atomically(self._path, content.encode())
