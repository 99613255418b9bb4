"""Keeps transitions on disk, so that nothing is lost when the process of a node dies.

Files are written as `core/atomic_file.py` writes them, and survive the death of the process. They are not forced out of
the machine's write cache, so that a power cut may lose the newest ones.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.message_format import FORMAT

_SUFFIX = ".cdr"
_FIRST_LINE = b"chunk_ppo_ros transition, message format %d\n" % FORMAT
"""The first line of a journaled transition. Its serialized message follows."""


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
        write_atomically(self._path(version, sequence_number), lambda file: file.write(_FIRST_LINE + message))

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
