"""Writes the metrics of a run to `metrics.jsonl`, and to wandb and for TensorBoard where these are on."""

from __future__ import annotations

import dataclasses
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting import wandb_sink
from chunk_ppo_ros.reporting.metric_table import METRICS, Kind
from chunk_ppo_ros.reporting.metrics_file import HISTOGRAMS_NAME, MetricsFile
from chunk_ppo_ros.reporting.software import needed_variables, software
from chunk_ppo_ros.reporting.tensorboard.sink import TensorboardSink


class Sink(Protocol):
    """Takes the records of a run beside the metrics file. It raises nothing."""

    def send(self, kind: Kind, record: Mapping[str, Any], histograms: Mapping[str, Histogram]) -> None:
        """Takes a record of a kind: progress, labels and metrics by name, and its histograms."""

    def close(self) -> None:
        """Ends the sink."""


class MetricsLog:
    """Writes the metrics of a run. `MetricsLog.open` makes it, and `close` or the end of a `with` block closes it.

    Args:
        file: file that takes every record.
        run_dir: the folder of the run, in which histograms have a file of their own.
        run_id: the identity of the run.
        sinks: further sinks that take every record.
    """

    def __init__(self, file: MetricsFile, *, run_dir: Path, run_id: str, sinks: Sequence[Sink] = ()) -> None:
        self._file = file
        self._run_dir, self._run_id = run_dir, run_id
        self._histograms: MetricsFile | None = None  # The first histograms open it.
        self._sinks = list(sinks)

    @classmethod
    def open(
        cls,
        run_dir: Path,
        *,
        config: config_lib.TrainConfig,
        run_id: str,
        start: str = "",
        is_fallback: bool = False,
        form: str = "",
        run_start: RunStart | None = None,
    ) -> MetricsLog:
        """Opens the metrics in `run_dir` and appends the configuration.

        `run.wandb` and `run.tensorboard` say which further sinks are on.

        Args:
            run_dir: the folder of the run.
            config: the settings of the run.
            run_id: the identity of the run.
            start: where the first weights came from, in words; empty where the caller does not know.
            is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
            form: the sub-command that starts such a run, "train" or "graph"; empty where the caller does not know.
            run_start: what the user gave at the start, beside the values of settings; None where the caller does not
                know.

        Raises:
            OSError: when the folder cannot be written.
        """
        run_dir = Path(run_dir)
        file = MetricsFile(run_dir)
        settings = config_lib.to_dict(config)
        begun = {"start": start, "is_fallback": is_fallback, "form": form, "software": software()}
        begun["variables"] = needed_variables(config)
        begun["writer"] = file.mark()
        begun["run_start"] = dataclasses.asdict(run_start or RunStart())
        file.append({"kind": "run", "run_id": run_id, "time": time.time(), "config": settings, **begun})
        sinks: list[Sink] = []
        if config.run.wandb and (wandb := wandb_sink.start(run_dir, run_id=run_id, config=settings)) is not None:
            sinks.append(wandb)
        if config.run.tensorboard:
            sinks.append(TensorboardSink(run_dir, settings=settings))
        return cls(file, run_dir=run_dir, run_id=run_id, sinks=sinks)

    def write(
        self, kind: Kind, metrics: Metrics, *, counters: Counters, labels: Mapping[str, str] | None = None
    ) -> None:
        """Writes one record.

        Args:
            kind: the kind of the record, a key of `METRICS`.
            metrics: metrics of the update, episode or evaluation. Numbers that are not finite become null.
            counters: progress of the run.
            labels: further texts of the record, by names such as "evaluation/decoding".

        Raises:
            OSError: when the file cannot be written, as on a full disk; other sinks never raise.
            ValueError: when the kind is not a key of `METRICS`.
        """
        if kind not in METRICS:
            raise ValueError(f"the kind of a record must be one of {', '.join(METRICS)}, got {kind!r}")
        progress = {
            "num_chunks": counters.num_chunks,
            "num_steps": counters.num_steps,
            "policy_version": counters.policy_version,
        }
        values = {**progress, **(labels or {}), **metrics}
        for sink in self._sinks:
            sink.send(kind, values, metrics.histograms)
        self._file.append({"kind": kind, "time": time.time(), **values})
        if metrics.histograms:
            self._append_histograms(progress, metrics.histograms)

    def _append_histograms(self, progress: Mapping[str, int], histograms: Mapping[str, Histogram]) -> None:
        self._histograms = self._histograms or MetricsFile(self._run_dir, HISTOGRAMS_NAME)
        named = {name: histogram.as_json() for name, histogram in histograms.items()}
        self._histograms.append({"run_id": self._run_id, **progress, "histograms": named})

    def close(self) -> None:
        """Closes the files and gives wandb a few seconds to finish."""
        self._file.close()
        if self._histograms is not None:
            self._histograms.close()
        while self._sinks:
            self._sinks.pop().close()

    def __enter__(self) -> MetricsLog:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        """Closes the log."""
        self.close()
