"""Writes the metrics of a run to `metrics.jsonl`, and to wandb where that is on."""

from __future__ import annotations

import time
import types
from collections.abc import Mapping
from pathlib import Path

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting import wandb_sink
from chunk_ppo_ros.reporting.metric_table import METRICS, Kind
from chunk_ppo_ros.reporting.metrics_file import MetricsFile
from chunk_ppo_ros.reporting.software import software


class MetricsLog:
    """Writes the metrics of a run. `MetricsLog.open` makes it, and `close` or the end of a `with` block closes it.

    Args:
        file: file that takes every record.
        wandb: sink that takes every record too; None where wandb is off.
    """

    def __init__(self, file: MetricsFile, wandb: wandb_sink.WandbSink | None) -> None:
        self._file = file
        self._wandb = wandb

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
    ) -> MetricsLog:
        """Opens the metrics in `run_dir` and appends the configuration. `run.wandb` says whether wandb is on.

        Args:
            run_dir: the folder of the run.
            config: the settings of the run.
            run_id: the identity of the run.
            start: where the first weights came from, in words; empty where the caller does not know.
            is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
            form: the sub-command that starts such a run, "train" or "graph"; empty where the caller does not know.

        Raises:
            OSError: when the folder cannot be written.
        """
        run_dir = Path(run_dir)
        file = MetricsFile(run_dir)
        settings = config_lib.to_dict(config)
        begun = {"start": start, "is_fallback": is_fallback, "form": form, "software": software()}
        file.append({"kind": "run", "run_id": run_id, "time": time.time(), "config": settings, **begun})
        sink = wandb_sink.start(run_dir, run_id=run_id, config=settings) if config.run.wandb else None
        return cls(file, sink)

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
            OSError: when the file cannot be written, as on a full disk; wandb never raises.
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
        if self._wandb is not None:
            self._wandb.send(values)
        self._file.append({"kind": kind, "time": time.time(), **values})

    def close(self) -> None:
        """Closes the file and gives wandb a few seconds to finish."""
        self._file.close()
        if self._wandb is not None:
            self._wandb.close()
            self._wandb = None

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
