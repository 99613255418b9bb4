"""Makes the values of an event file: numbers, histograms, and the settings of a run. They need tensorboardX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.core.distributions.histogram import Histogram

SETTINGS = "settings"
"""The name under which the settings are shown as a text."""

_HYPERPARAMETERS = ("ppo.", "chunk_length.", "env.task", "run.seed")
"""What the names of the settings that are hyperparameters begin with. TensorBoard compares runs by them."""
_SHOWN_METRICS = ("episode/success", "episode/total_reward", "reward/chunk_mean", "kl/after")
"""The metrics that TensorBoard shows beside the hyperparameters."""


def scalar_values(numbers: Mapping[str, Any]) -> list[Any]:
    """Returns the finite numbers under their names; texts are left out."""
    from tensorboardX.proto.summary_pb2 import Summary

    return [
        Summary.Value(tag=name, simple_value=float(value))
        for name, value in numbers.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]


def histogram_values(histograms: Mapping[str, Histogram]) -> list[Any]:
    """Returns the histograms under their names."""
    from tensorboardX.proto.summary_pb2 import HistogramProto, Summary

    return [
        Summary.Value(
            tag=name,
            histo=HistogramProto(
                min=histogram.low,
                max=histogram.high,
                num=histogram.count,
                sum=histogram.total,
                sum_squares=histogram.total_of_squares,
                # A bucket begins where the one before it ends, so that the first one is empty and ends at `low`.
                bucket_limit=histogram.edges.tolist(),
                bucket=[0, *histogram.counts],
            ),
        )
        for name, histogram in histograms.items()
    ]


def settings_values(settings: Mapping[str, Any]) -> list[Any]:
    """Returns the settings as a table in a text, and some of them as hyperparameters; none without settings."""
    if not settings:
        return []
    from tensorboardX import summary

    flat = flatten(settings)
    rows = [f"| {name} | {_cell(value)} |" for name, value in flat.items()]
    table = "\n".join(["| setting | value |", "|---|---|", *rows])
    chosen = {name: _plain(value) for name, value in flat.items() if name.startswith(_HYPERPARAMETERS)}
    made = [summary.text(SETTINGS, table), *summary.hparams(chosen, dict.fromkeys(_SHOWN_METRICS, 0.0))[:2]]
    return [value for each in made for value in each.value]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _plain(value: object) -> bool | int | float | str:
    """Returns a setting as a hyperparameter, which is a number, a truth value or a text."""
    return value if isinstance(value, (bool, int, float, str)) else str(value)
