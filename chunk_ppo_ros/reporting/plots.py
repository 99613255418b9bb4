"""Draws the learning curve of a run as a picture. It needs no display and works in any thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.reporting.curves.episodes import REWARD, SUCCESS, WINDOW, Episodes
from chunk_ppo_ros.reporting.curves.thinned import Points
from chunk_ppo_ros.reporting.curves.updates import NOT_KEPT, Updates
from chunk_ppo_ros.reporting.fonts.font_choice import USUAL, drawable, font_of
from chunk_ppo_ros.reporting.metrics_file import Record

LABEL_LENGTH = 32
"""The number of characters of a prompt that a legend shows."""

MAX_PROMPT_CURVES = 8
"""The number of prompts up to which each has a curve. A legend of more would cover the plots below it."""

COLOR, FAINT, SECOND = "#1f5fa8", "#9dbfe3", "#c4501b"


def draw_learning_curve(
    path: Path,
    *,
    title: str,
    updates: Updates,
    episodes: Episodes,
    evaluations: Sequence[Record],
    clip_range: tuple[float, float],
) -> None:
    """Writes a PNG with six panels over the chunks of the run. A panel without records says "no records".

    Args:
        path: file to write; an existing file is replaced.
        title: name of the run.
        updates: updates of the run.
        episodes: episodes of the run.
        evaluations: records of kind "evaluation".
        clip_range: the smallest and the largest ratio that are not clipped.
    """
    figure = Figure(figsize=(11.0, 10.0), layout="constrained")
    axes = figure.subplots(3, 2, sharex=True)
    figure.suptitle(title, fontsize=13)
    _success(axes[0, 0], episodes, evaluations)
    _reward(axes[0, 1], episodes, evaluations)
    _ratio(axes[1, 0], updates, clip_range)
    _lines(axes[1, 1], updates, "ratio/clip_fraction", label="ratios outside the clip range")
    axes[1, 1].yaxis.set_major_formatter(PercentFormatter(1.0))
    axes[1, 1].set_ylim(bottom=0.0)
    _lines(axes[2, 0], updates, "value/explained_variance", label="explained variance of the value")
    axes[2, 0].axhline(0.0, color="gray", linewidth=0.8)
    _lines(axes[2, 1], updates, "kl/after", label="KL from before to after an update (k2), nats a chunk")
    _undone(axes[2, 1], updates)
    axes[2, 1].set_ylim(bottom=0.0)
    for axis in axes[2]:
        axis.set_xlabel("chunks")
    finish_panels(axes.flat, empty="no records")
    save(figure, path, dpi=110)


def finish_panels(axes: Iterable[Axes], *, empty: str) -> None:
    """Gives panels their grid and their legend. A panel without data says the text `empty`."""
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if not axis.has_data():
            axis.text(0.5, 0.5, empty, transform=axis.transAxes, ha="center", color="gray")
        elif axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8, framealpha=0.8)


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Writes a PNG, whole or not at all. Its texts may be in any script for which this machine has a font."""
    _fit_texts(figure)
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=dpi), durable=False)


def _fit_texts(figure: Figure) -> None:
    """Gives the texts of a plot fonts that have their characters."""
    texts = [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]
    for text in texts:
        shown = drawable(text.get_text())
        if shown != text.get_text():
            text.set_text(shown)
        if (font := font_of(shown)) != USUAL:
            text.get_fontproperties().set_file(font)


def _success(axis: Axes, episodes: Episodes, evaluations: Sequence[Record]) -> None:
    axis.set_title("Episodes solved, sampled while training", fontsize=10)
    _episode_curve(axis, episodes, SUCCESS, points=False)
    by_prompt = episodes.by_prompt
    shown = by_prompt.items() if len(by_prompt) <= MAX_PROMPT_CURVES else ()
    for number, (prompt, own) in enumerate(shown, start=1):  # The color C0 looks like that of all episodes.
        _prompt_curve(axis, own, prompt=prompt, color=f"C{number}")
    _evaluation_points(axis, evaluations, "success")
    axis.set_ylim(-0.03, 1.03)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


def _reward(axis: Axes, episodes: Episodes, evaluations: Sequence[Record]) -> None:
    axis.set_title("Reward of an episode", fontsize=10)
    _episode_curve(axis, episodes, REWARD, points=True)
    _evaluation_points(axis, evaluations, "reward")


def _episode_curve(axis: Axes, episodes: Episodes, name: str, *, points: bool) -> None:
    """Draws a running mean over the chunks of the finished episodes, and with `points` also a point for each."""
    if not len(episodes):
        return
    if points:
        label = "an episode" if episodes.curves.rows_per_part == 1 else "lowest and highest of some episodes"
        axis.plot(*episodes.curves.line(name), ".", color=FAINT, markersize=3, label=label)
    axis.plot(*episodes.mean(name), color=COLOR, label=f"mean of the last {WINDOW} episodes")


def _prompt_curve(axis: Axes, episodes: Episodes, *, prompt: str, color: str) -> None:
    """Draws a thin running mean of the success of one prompt's episodes, over the chunks of all episodes."""
    label = prompt if len(prompt) <= LABEL_LENGTH else f"{prompt[: LABEL_LENGTH - 3]} .."
    label = label.replace("$", r"\$")  # Otherwise matplotlib would read a formula.
    axis.plot(*episodes.mean(SUCCESS), linewidth=1.0, color=color, label=label)


def _evaluation_points(axis: Axes, evaluations: Sequence[Record], name: str) -> None:
    """Draws the means of evaluations with their intervals."""
    if not evaluations:
        return
    low, mean, high = (
        np.array([record[f"evaluation/{name}_{part}"] for record in evaluations], float)
        for part in ("low", "mean", "high")
    )
    chunks = [record["num_chunks"] for record in evaluations]
    axis.errorbar(
        chunks,
        mean,
        yerr=[mean - low, high - mean],
        fmt="o",
        color=SECOND,
        capsize=4,
        label=f"evaluation, {_decodings(evaluations)}, 95 % interval",
    )


def _decodings(evaluations: Sequence[Record]) -> str:
    """Returns how the policy decoded in the evaluations, such as "greedy"."""
    return " and ".join(dict.fromkeys(decoding_text(record["evaluation/decoding"]) for record in evaluations))


def decoding_text(decoding: str) -> str:
    """Returns how a policy decoded, as a page says it: "sampled" or "greedy"."""
    return "sampled" if decoding == "sample" else decoding


def _ratio(axis: Axes, updates: Updates, clip_range: tuple[float, float]) -> None:
    axis.set_title("Ratio of new to old probability", fontsize=10)
    curves = updates.curves
    if not all(curves.has_values(f"ratio/{part}") for part in ("min", "mean", "max")):
        return
    (chunks, lowest), (_, mean), (_, highest) = (
        curves.low("ratio/min"),
        curves.mean("ratio/mean"),
        curves.high("ratio/max"),
    )
    axis.fill_between(chunks, lowest, highest, color=FAINT, alpha=0.5, label="smallest to largest")
    axis.plot(chunks, mean, color=COLOR, label="mean")
    for edge in clip_range:
        axis.axhline(edge, color=SECOND, linestyle="--", linewidth=0.8)
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_ylim(min(0.45, 0.95 * np.nanmin(lowest)), max(2.2, 1.05 * np.nanmax(highest)))


def _undone(axis: Axes, updates: Updates) -> None:
    """Marks the updates of which nothing was kept."""
    if updates.curves.has_values(NOT_KEPT):
        axis.plot(*_known(updates.curves.line(NOT_KEPT)), "x", color=SECOND, label="undone")


def _lines(axis: Axes, updates: Updates, name: str, *, label: str) -> None:
    axis.set_title(label[0].upper() + label[1:], fontsize=10)
    if updates.curves.has_values(name):
        axis.plot(*updates.curves.line(name), color=COLOR)


def _known(points: Points) -> Points:
    """Returns the points of a curve whose values are finite."""
    x, y = points
    return x[np.isfinite(y)], y[np.isfinite(y)]
