"""Draws the curves of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from chunk_ppo_ros.reporting.plots import COLOR, FAINT, save
from experiments.definitions import DEFAULT
from experiments.results import GOAL, Result


def draw(path: Path, name: str, variants: Mapping[str, Sequence[Result]]) -> None:
    """Writes a PNG: every seed of the default on the left, the means of all variants on the right.

    Args:
        path: file to write.
        name: name of the experiment.
        variants: results by variant, each with at least one.
    """
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    figure.suptitle(f"{name}: success on validation starts", fontsize=12)
    _seeds(left, variants.get(DEFAULT, ()))
    colors = matplotlib.color_sequences["tab20"]  # The first two are left out, because they look like the default's.
    right.set_prop_cycle(color=colors[2:])
    for variant, results in variants.items():
        chunks, means = mean_curve(results)
        style = {"linewidth": 2.2, "color": COLOR} if variant == DEFAULT else {"linewidth": 1.1}
        right.plot(chunks, means, marker=".", label=variant, **style)
    right.set_title("Means over seeds", fontsize=10)
    for axis in (left, right):
        axis.axhline(GOAL, color="gray", linestyle="--", linewidth=0.8)
        axis.set_xlabel("chunks")
        axis.set_ylim(-0.03, 1.03)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path, dpi=90)


def _seeds(axis: Axes, results: Sequence[Result]) -> None:
    axis.set_title("The default, each seed with its 95 % interval", fontsize=10)
    for result in results:
        column = {
            key: [point[key] for point in result.curve] for key in ("chunks", "success", "success_low", "success_high")
        }
        axis.fill_between(column["chunks"], column["success_low"], column["success_high"], color=FAINT, alpha=0.15)
        axis.plot(column["chunks"], column["success"], marker=".", linewidth=1.0, label=f"seed {result.seed}")
    if results:
        chunks, means = mean_curve(results)
        axis.plot(chunks, means, color=COLOR, linewidth=2.2, label="mean")


def mean_curve(results: Sequence[Result]) -> tuple[list[int], list[float]]:
    """Returns chunks and mean success of the points that all of these results have."""
    curves = [{point["chunks"]: point["success"] for point in result.curve} for result in results]
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    return shared, [float(np.mean([curve[chunks] for curve in curves])) for chunks in shared]
