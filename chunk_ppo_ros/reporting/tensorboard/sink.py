"""Writes metrics to an event file, which TensorBoard reads: `tensorboard --logdir runs`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.reporting.metric_table import Kind
from chunk_ppo_ros.reporting.tensorboard.summaries import histogram_values, scalar_values, settings_values

FOLDER = "tensorboard"
"""The name of the folder below that of the run."""

_STEP, _EPISODE_LENGTH = "num_chunks", "episode/num_chunks"
_log = logging.getLogger(__name__)


class TensorboardSink:
    """Writes the numbers and histograms of each record, over the chunks that the run has trained on.

    TensorBoard keeps one number of a name at each step. Several episodes end between two updates, so that the numbers
    of an episode stand at the chunks that had been executed when it ended.

    The first record of a start says that what an earlier start wrote from there on does not count any more. So what is
    made again after a crash is shown once.

    A disk that does not take the file is logged once, and does not stop training: metrics.jsonl has all records.

    Args:
        run_dir: folder of the run.
        settings: settings of the run by section, which TensorBoard shows as a text and as hyperparameters.

    Raises:
        OSError: when the file cannot be made.
    """

    def __init__(self, run_dir: Path, *, settings: Mapping[str, Any] = MappingProxyType({})) -> None:
        # tensorboardX is imported here, because most runs do not use it.
        from tensorboardX.event_file_writer import EventsWriter

        folder = run_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        # Without its own suffix, a run that is resumed within a second would write over the file of before.
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{os.getpid()}.{time.time_ns() % 10**9}")
        self._settings = settings
        self._episode_step = 0
        self._has_begun = self._has_failed = False

    def send(
        self, kind: Kind, record: Mapping[str, Any], histograms: Mapping[str, Histogram] = MappingProxyType({})
    ) -> None:
        """Writes the finite numbers of a record and its histograms under their logged names; texts are left out."""
        if self._has_failed:
            return
        step = self._step(kind, record)
        numbers = {name: value for name, value in record.items() if name != _STEP}
        try:
            if not self._has_begun:
                self._begin(step if kind == "update" else int(record[_STEP]) + 1)
            self._write(step, [*scalar_values(numbers), *histogram_values(histograms)])
            self._writer.flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Closes the file."""
        try:
            self._writer.close()
        except OSError as error:
            self._fail(error)

    def _step(self, kind: Kind, record: Mapping[str, Any]) -> int:
        step = int(record[_STEP])
        if kind == "episode":
            step = self._episode_step = max(step, self._episode_step + int(record[_EPISODE_LENGTH]))
        return step

    def _begin(self, step: int) -> None:
        """Says that earlier records from `step` on do not count, and writes the settings."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=step, session_log=start))
        self._write(step, settings_values(self._settings))
        self._has_begun = True

    def _write(self, step: int, values: list[Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        self._writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _fail(self, error: OSError) -> None:
        if not self._has_failed:
            _log.warning("TensorBoard misses further records, which metrics.jsonl has: %s", error)
        self._has_failed = True
