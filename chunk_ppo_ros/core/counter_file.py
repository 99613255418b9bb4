"""Keeps a counter of a run on disk, so that a restarted node uses no number twice."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.core.errors import DamagedFile, UserError
from chunk_ppo_ros.core.files.checked_json import read_checked_json, write_checked_json
from chunk_ppo_ros.core.files.disk_errors import usable


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
            DiskError: when the file exists but cannot be read. It is a UserError and an OSError.
            UserError: when the file has other content, or was changed since it was written.
        """
        if not self._path.exists():
            return 0
        try:
            with usable(self._path, "a file that can be read"):
                stored = read_checked_json(self._path)
            return int(stored[self._name]) if stored["run_id"] == run_id else 0
        except DamagedFile as error:
            raise UserError(f"{error}; remove it, and {self._without}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._path} must hold run_id and {self._name}, got {stored}; remove it, and {self._without}"
            ) from error

    def write(self, run_id: str, number: int) -> None:
        """Stores the next number of a run, and returns when it survives a power cut.

        Raises:
            OSError: when the file cannot be written.
        """
        write_checked_json(self._path, {"run_id": run_id, self._name: number})
