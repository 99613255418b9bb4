"""Writes and reads `metrics.jsonl`, which has one JSON object in each line. A line is written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_NAME = "metrics.jsonl"

Record = dict[str, Any]
"""The content of one line: `kind`, counters, time and the values of that kind; null where a number is not finite."""


class MetricsFile:
    """Appends records to a run's `metrics.jsonl`, and cuts off a line that a crash left unfinished.

    Args:
        run_dir: folder of the run; it is made where it does not exist.
    """

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._file = (run_dir / FILE_NAME).open("a+b", buffering=0)
        self._file.seek(0)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)

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


def read_records(run_dir: Path) -> list[Record]:
    """Returns the records of the newest run in `run_dir`, in the order of writing.

    It leaves out a last line that a crash left unfinished. A folder may also hold an earlier run of the same name. The
    newest run begins at the first "run" record with its `run_id`.

    Raises:
        FileNotFoundError: if the folder has no `metrics.jsonl`.
        ValueError: if a finished line is not JSON, or has no kind.
    """
    path = Path(run_dir) / FILE_NAME
    records: list[Record] = []
    run_id = None
    for number, line in enumerate(path.read_text().splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}, must be JSON: {error}; move the file away") from error
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise ValueError(
                f"{path}, line {number}, must be an object with its kind, got {str(record)[:60]}; move the file away"
            )
        if record["kind"] == "run" and record.get("run_id") != run_id:
            records, run_id = [], record.get("run_id")
        records.append(record)
    return records


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
