"""Keeps a counter of a run on disk, so that a restarted node uses no number twice."""

from __future__ import annotations

import json
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.errors import UserError


class CounterFile:
    """Keeps the next number of a run, in a small JSON file that is written anew with each number.

    Args:
        path: the path of the file.
        name: what is counted, which is the key of the number in the file, for example "next_episode".
        without: what happens where the file is removed, for the error text.
    """

    def __init__(self, path: Path, name: str, *, without: str) -> None:
        self._path = path
        self._name = name
        self._without = without

    def read(self, run_id: str) -> int:
        """Returns the next number of a run, or 0 where there is no file or the file is of another run.

        Raises:
            OSError: when the file exists but cannot be read.
            UserError: when the file has other content.
        """
        if not self._path.exists():
            return 0
        content = self._path.read_bytes()
        try:
            stored = json.loads(content)
            return int(stored[self._name]) if stored["run_id"] == run_id else 0
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._path} must hold run_id and {self._name}, got {content.decode(errors='replace')!r}; remove it, "
                f"and {self._without}"
            ) from error

    def write(self, run_id: str, number: int) -> None:
        """Stores the next number of a run.

        Raises:
            OSError: when the file cannot be written.
        """
        content = json.dumps({"run_id": run_id, self._name: number}).encode()
        write_atomically(self._path, lambda file: file.write(content))
