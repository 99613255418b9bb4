"""Writes metrics to an event file, which TensorBoard reads: `tensorboard --logdir runs`."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"
"""The name of the folder below that of the run."""

_STEP = "num_chunks"
_log = logging.getLogger(__name__)


class TensorboardSink:
    """Writes the numbers of each record, over the chunks that the run has trained on.

    A disk that does not take the file is logged once, and does not stop training: metrics.jsonl has all records.

    Args:
        run_dir: folder of the run.

    Raises:
        OSError: when the file cannot be made.
    """

    def __init__(self, run_dir: Path) -> None:
        # tensorboardX is imported here, because most runs do not use it.
        from tensorboardX.event_file_writer import EventsWriter

        folder = run_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        # Without its own suffix, a run that is resumed within a second would write over the file of before.
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{os.getpid()}.{time.time_ns() % 10**9}")
        self._has_failed = False

    def send(self, record: Mapping[str, Any]) -> None:
        """Writes the finite numbers of a record under their logged names; texts are left out."""
        if self._has_failed:
            return
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in record.items()
            if name != _STEP and isinstance(value, (int, float)) and math.isfinite(value)
        ]
        try:
            self._writer.write_event(
                Event(wall_time=time.time(), step=int(record[_STEP]), summary=Summary(value=values))
            )
            self._writer.flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Closes the file."""
        try:
            self._writer.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self._has_failed:
            _log.warning("TensorBoard misses further records, which metrics.jsonl has: %s", error)
        self._has_failed = True
