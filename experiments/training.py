"""Trains a curve until its number of chunks is reached, and measures points on validation starts in between.

Beside the metrics of its method, an update has `time/total`, in s: the time of its rollout, of the update itself and of
its checkpoint. That of the first update includes loading and compiling. Points are not part of these times. Updates
that a kill lost are made again and count once, because the records of a version that is made again replace the earlier
ones.
"""

from __future__ import annotations

import time
from pathlib import Path

from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.evaluation.evaluate import evaluate_actor
from chunk_ppo_ros.reporting.metrics_file import read_records
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from experiments.definitions import Curve
from experiments.methods import Method
from experiments.start_point import validation_starts


class Training:
    """Trains a method with the settings of a curve.

    Args:
        curve: curve to train.
        method: method at its start, or resumed.
        env: environment for the points; not the one in which `method` acts.
        log: log that takes the records of updates, episodes and points.
        folder: folder of `log`.
    """

    def __init__(self, curve: Curve, method: Method, env: ChunkEnv, log: MetricsLog, folder: Path) -> None:
        self._experiment = curve.experiment
        self._rollout = curve.config.ppo.num_chunks_per_update
        self._method, self._env, self._log = method, env, log
        self._starts = validation_starts(curve.seed, curve.experiment.validation_episodes)
        points = [record for record in read_records(folder) if record["kind"] == "evaluation"]
        version = method.counters.policy_version
        self._measured = {point["policy_version"] for point in points if point["policy_version"] <= version}

    def run(self, *, set_up: float) -> None:
        """Trains to the end of the curve.

        Args:
            set_up: time that loading took, s, which counts as a part of the first update.
        """
        self._point_where_due()
        while not self._finished:
            began = time.monotonic() - set_up
            metrics = self._update()
            metrics |= Metrics({"time/total": time.monotonic() - began})
            self._log.write("update", metrics, counters=self._method.counters)
            set_up = 0.0
            self._point_where_due()

    @property
    def _finished(self) -> bool:
        """Whether another rollout would be more than the curve's chunks."""
        return self._method.counters.num_chunks + self._rollout > self._experiment.chunks

    def _passed(self, every: int) -> bool:
        """Whether the last rollout reached a multiple of `every` chunks. So does the start."""
        chunks = self._method.counters.num_chunks
        return chunks // every > (chunks - self._rollout) // every

    def _update(self) -> Metrics:
        """Makes one update, writes a checkpoint where one is due, and returns the metrics."""
        metrics, episodes = self._method.update()
        counters = self._method.counters
        for episode in episodes:
            self._log.write("episode", episode.metrics(), counters=counters)
        if self._passed(self._experiment.save_every) or self._finished:
            self._method.save()
        return metrics

    def _point_where_due(self) -> None:
        """Measures a point at the start, at the end, and after every `validate_every` chunks."""
        counters = self._method.counters
        due = self._passed(self._experiment.validate_every) or self._finished
        if not due or counters.policy_version in self._measured:
            return
        name = f"{counters.num_chunks} chunks"
        point = evaluate_actor(self._method.policy, self._env, starts=self._starts, name=name)
        self._log.write("evaluation", point.metrics(), counters=counters, labels=point.labels)
        self._measured.add(counters.policy_version)
        print(point, flush=True)
