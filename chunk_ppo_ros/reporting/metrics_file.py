"""Writes and reads `metrics.jsonl`, which has one JSON object in each line. A line is written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from chunk_ppo_ros.core.files import writer_mark

FILE_NAME = "metrics.jsonl"
HISTOGRAMS_NAME = "histograms.jsonl"
"""The file beside it, with a line of histograms for each update. So `metrics.jsonl` stays a table of numbers."""

Record = dict[str, Any]
"""The content of one line: `kind`, counters, time and the values of that kind; null where a number is not finite."""


class MetricsFile:
    """Appends records to a run's `metrics.jsonl`, and cuts off a line that a crash left unfinished.

    Args:
        run_dir: folder of the run; it is made where it does not exist.
        name: name of the file.
    """

    def __init__(self, run_dir: Path, name: str = FILE_NAME) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._file = (run_dir / name).open("a+b", buffering=0)
        self._file.truncate(_end_of_lines(self._file))

    def mark(self) -> writer_mark.Place | None:
        """Marks the file as that of a run that goes on, until it is closed. Returns where, or None where it cannot."""
        return writer_mark.mark(self._file)

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one line to the operating system.

        Raises:
            OSError: when the line cannot be written, as on a full disk; the file then stays as it was.
        """
        finite = {name: None if _is_not_finite(value) else value for name, value in record.items()}
        line = json.dumps(finite, allow_nan=False).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:]) or 0
        except OSError:
            self._file.truncate(end)
            raise

    def close(self) -> None:
        """Closes the file. A second call does nothing."""
        self._file.close()


@dataclasses.dataclass(frozen=True)
class NewestRun:
    """The place of the newest run in a metrics file, as the file was when it was looked at.

    A folder may also hold an earlier run of the same name. The newest run begins at the first "run" record with its
    `run_id`.

    Attributes:
        path: the file.
        begin: where its first record begins, bytes.
        end: where its last finished line ends, bytes. A line that a crash left unfinished is not among them.
        lines_before: number of lines of earlier runs.
    """

    path: Path
    begin: int
    end: int
    lines_before: int

    @classmethod
    def find(cls, run_dir: Path) -> NewestRun:
        """Looks for the newest run in a folder. It holds one line at a time.

        Raises:
            FileNotFoundError: if the folder has no `metrics.jsonl`.
            ValueError: if the line of a start is not JSON.
        """
        path = Path(run_dir) / FILE_NAME
        begin, end, before, run_id = 0, 0, 0, None
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                if _MAY_BE_START.search(line):
                    record = _parsed(line, path, number)
                    if record["kind"] == "run" and record.get("run_id") != run_id:
                        begin, before, run_id = end, number - 1, record.get("run_id")
                end += len(line)
        return cls(path, begin, end, before)

    def records(self) -> Iterator[Record]:
        """Yields the records in the order of writing. It holds one at a time.

        Raises:
            ValueError: if a finished line is not JSON, or has no kind.
        """
        with self.path.open("rb") as file:
            file.seek(self.begin)
            position = self.begin
            for number, line in enumerate(file, start=self.lines_before + 1):
                position += len(line)
                if position > self.end:  # It was written meanwhile.
                    return
                yield _parsed(line, self.path, number)


def read_records(run_dir: Path) -> list[Record]:
    """Returns all records of the newest run in `run_dir`, in the order of writing.

    They are held in memory at once, so that a long run is better read by `NewestRun.records`.

    Raises:
        FileNotFoundError: if the folder has no `metrics.jsonl`.
        ValueError: if a finished line is not JSON, or has no kind.
    """
    return list(NewestRun.find(run_dir).records())


_MAY_BE_START = re.compile(rb'"kind":\s*"run"')
_ADVICE = "remove that line, or move the file away"
_BLOCK = 2**16  # bytes


def _parsed(line: bytes, path: Path, number: int) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}, must be JSON: {error}; {_ADVICE}") from error
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError(f"{path}, line {number}, must be an object with its kind, got {str(record)[:60]}; {_ADVICE}")
    return record


def _end_of_lines(file: IO[bytes]) -> int:
    """Returns where the last finished line of a file ends, bytes. It reads the file from its end."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
