"""The result of a curve, a small JSON file that is made from the files of its stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.evaluation.evaluate import EvaluationResult
from chunk_ppo_ros.evaluation.statistics import paired_test
from chunk_ppo_ros.reporting.metrics_file import Record, read_records
from experiments.definitions import Curve

GOAL = 0.9
"""The success up to which chunks and minutes are counted."""

WATCHED = {
    "kl/approx": "max",
    "kl/after": "max",
    "kl/reference": "max",
    "ratio/max": "max",
    "ratio/clip_fraction": "mean",
    "clip_fraction/chunk": "mean",
    "clip_fraction/token": "mean",
    "clip_fraction/sequence_mean": "mean",
    "value/explained_variance": "mean",
    "update/accepted": "mean",
    "update/rolled_back": "sum",
    "update/rate_scale": "min",
    "decoding/invalid_fraction": "mean",
    "time/rollout": "sum",
    "time/update": "sum",
}
"""The metrics of updates that a result keeps, and how each is combined over the curve."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """The figures of an evaluation, with 95 % intervals.

    Attributes:
        success: share of the starts that were solved, 0..1.
        success_low: lower end of its interval.
        success_high: upper end of its interval.
        reward: mean reward of an episode.
        outcomes: text with "1" for each solved start and "0" for each other, in order.
        decoding: "sample" or "greedy".
        minutes: duration of the evaluation, minutes.
    """

    success: float
    success_low: float
    success_high: float
    reward: float
    outcomes: str
    decoding: str
    minutes: float

    @classmethod
    def of(cls, evaluation: EvaluationResult, *, minutes: float) -> Measured:
        """Returns the figures of an evaluation."""
        summary = evaluation.summary
        return cls(
            success=summary.success_mean,
            success_low=summary.success_low,
            success_high=summary.success_high,
            reward=summary.reward_mean,
            outcomes="".join("1" if solved else "0" for solved in evaluation.success),
            decoding=evaluation.decoding,
            minutes=minutes,
        )


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the curve, on validation starts: chunks and minutes of training so far, success with its interval."""

    chunks: int
    minutes: float
    success: float
    success_low: float
    success_high: float


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished curve, as plain values.

    Attributes:
        name: name of the experiment.
        variant: name of the variant.
        seed: seed of the curve.
        method: name of the method.
        settings: settings that differ from the configuration's defaults, by dotted name.
        measure: further fields of the experiment: decoding, starts, rule of the start, chunks.
        start: record of how the imitation start was made and chosen.
        before: fields of `Measured` for the start.
        after: fields of `Measured` for the last version, on the same starts.
        p_two_sided: p-value of the paired test that before and after differ in success.
        chunks: number of chunks trained on.
        updates: number of updates.
        episodes: number of finished episodes of the training.
        minutes: duration of training, without imitation and evaluations.
        eval_minutes: duration of both evaluations.
        curve: fields of each `Point`.
        chunks_to_goal: chunks at the first point with a success of at least `GOAL`; None where there is none.
        minutes_to_goal: minutes at that point; None where there is none.
        metrics: combined metrics of `WATCHED` that the method has.
        resumed: number of times that training was resumed.
        provenance: commit, changed files, date and machine.
    """

    name: str
    variant: str
    seed: int
    method: str
    settings: dict[str, Any]
    measure: dict[str, Any]
    start: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    p_two_sided: float
    chunks: int
    updates: int
    episodes: int
    minutes: float
    eval_minutes: float
    curve: list[dict[str, Any]]
    chunks_to_goal: int | None
    minutes_to_goal: float | None
    metrics: dict[str, float]
    resumed: int
    provenance: dict[str, Any]

    @property
    def line(self) -> str:
        """The last line of `make experiment`."""
        variant = "" if self.variant == "default" else f"/{self.variant}"
        return (
            f"{self.name}{variant} seed={self.seed} chunks={self.chunks} success_before={self.before['success']:.3f} "
            f"success_after={self.after['success']:.3f} episodes={len(self.after['outcomes'])} "
            f"minutes={self.minutes:.1f} eval_minutes={self.eval_minutes:.1f}"
        )


def summarize(
    curve: Curve,
    *,
    start: dict[str, Any],
    before: Measured,
    after: Measured,
    folder: Path,
    provenance: dict[str, Any],
) -> Result:
    """Returns the result of a curve whose metrics are in `folder`."""
    records = read_records(folder)
    updates = _latest(records, "update", key="policy_version")
    points = _points(updates, _latest(records, "evaluation", key="policy_version"))
    reached = next((point for point in points if point.success >= GOAL), None)
    outcomes = [[float(one) for one in measured.outcomes] for measured in (before, after)]
    return Result(
        name=curve.name,
        variant=curve.variant,
        seed=curve.seed,
        method=curve.experiment.method,
        settings=_differing(curve.config),
        measure=_measure(curve),
        start=start,
        before=dataclasses.asdict(before),
        after=dataclasses.asdict(after),
        p_two_sided=paired_test(outcomes[0], outcomes[1]).p_two_sided,
        chunks=updates[-1]["num_chunks"] if updates else 0,
        updates=len(updates),
        episodes=len(_latest(records, "episode", key="episode/episode")),
        minutes=round(_minutes(updates), 3),
        eval_minutes=round(before.minutes + after.minutes, 3),
        curve=[dataclasses.asdict(point) for point in points],
        chunks_to_goal=reached.chunks if reached else None,
        minutes_to_goal=reached.minutes if reached else None,
        metrics=watched_metrics(updates),
        resumed=sum(record["kind"] == "run" for record in records) - 1,
        provenance=provenance,
    )


def _minutes(updates: Sequence[Record]) -> float:
    return sum(update["time/total"] for update in updates) / 60


def _points(updates: Sequence[Record], evaluations: Sequence[Record]) -> list[Point]:
    return [
        Point(
            chunks=record["num_chunks"],
            minutes=round(_minutes([one for one in updates if one["num_chunks"] <= record["num_chunks"]]), 3),
            success=record["evaluation/success_mean"],
            success_low=round(record["evaluation/success_low"], 4),
            success_high=round(record["evaluation/success_high"], 4),
        )
        for record in evaluations
    ]


def _differing(config: TrainConfig) -> dict[str, Any]:
    defaults = flatten(config_lib.to_dict(TrainConfig()))
    return {
        name: value
        for name, value in flatten(config_lib.to_dict(config)).items()
        if not name.startswith("run.") and value != defaults[name]
    }


def _measure(curve: Curve) -> dict[str, Any]:
    return {name: value for name, value in curve.settings().items() if name not in ("config", "method")}


def watched_metrics(updates: Sequence[Record]) -> dict[str, float]:
    """Returns the largest, smallest, mean or sum over all updates of the recorded metrics in WATCHED."""
    kept = {}
    for name, how in WATCHED.items():
        values = np.array([update[name] for update in updates if update.get(name) is not None])
        if len(values):
            summed = {"max": values.max(), "min": values.min(), "mean": values.mean(), "sum": values.sum()}[how]
            kept[f"{name} {how}"] = round(float(summed), 5)
    return kept


def _latest(records: Sequence[Record], kind: str, *, key: str) -> list[Record]:
    """Returns the records of a kind. A record that was made again after a crash replaces the earlier one."""
    return list({record[key]: record for record in records if record["kind"] == kind}.values())
