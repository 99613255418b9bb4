"""Draws the curves of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import PercentFormatter

from chunk_ppo_ros.reporting.plots import COLOR, FAINT, save
from experiments.definitions import DEFAULT
from experiments.results import GOAL, Result

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#000000")
"""Colors that people with any kind of color vision tell apart: Okabe and Ito, Color Universal Design (2008). Their blue
is left out, because it looks like that of the default, and their yellow, because it is faint on white."""
_MARKERS = ("o", "s", "^", "D", "v", "X")
_STYLES = cycler(linestyle=("-", "--", ":")) * (cycler(color=COLORS) + cycler(marker=_MARKERS))
"""How curves are drawn, one after the other: each color has a marker of its own, and comes again with another line."""
_OF_DEFAULT: dict[str, Any] = {"linewidth": 2.6, "color": COLOR, "linestyle": "-", "marker": "."}


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
    for axis in (left, right):
        axis.set_prop_cycle(_STYLES)
    _seeds(left, variants.get(DEFAULT, ()))
    for variant, results in variants.items():
        chunks, means = mean_curve(results)
        style = _OF_DEFAULT if variant == DEFAULT else {"linewidth": 1.2, "markersize": 4.0}
        right.plot(chunks, means, label=variant, **style)
    right.set_title("Means over seeds", fontsize=10)
    for axis in (left, right):
        axis.axhline(GOAL, color="gray", linestyle="--", linewidth=0.8)
        axis.set_xlabel("chunks")
        axis.set_ylim(-0.03, 1.03)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.5)
    save(figure, path, dpi=90)


def _seeds(axis: Axes, results: Sequence[Result]) -> None:
    axis.set_title("The default, each seed with its 95 % interval", fontsize=10)
    for result in results:
        column = {
            key: [point[key] for point in result.curve] for key in ("chunks", "success", "success_low", "success_high")
        }
        axis.fill_between(column["chunks"], column["success_low"], column["success_high"], color=FAINT, alpha=0.15)
        axis.plot(column["chunks"], column["success"], linewidth=1.0, markersize=4.0, label=f"seed {result.seed}")
    if results:
        chunks, means = mean_curve(results)
        axis.plot(chunks, means, label="mean", **_OF_DEFAULT)


def mean_curve(results: Sequence[Result]) -> tuple[list[int], list[float]]:
    """Returns chunks and mean success of the points that all of these results have."""
    curves = [{point["chunks"]: point["success"] for point in result.curve} for result in results]
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    return shared, [float(np.mean([curve[chunks] for curve in curves])) for chunks in shared]
