"""Draws periods, gaps and speeds of a recorded stream of commands as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunk_ppo_ros.data.bags.command_stream import CommandStream
from chunk_ppo_ros.evaluation.command_stream.stream_figures import StreamFigures, boundaries, fastest
from chunk_ppo_ros.reporting.plots import COLOR, FAINT, SECOND, finish_panels, save

AROUND = 12
"""The number of control steps before and after a boundary that are drawn."""
EXAMPLE = 3.0
"""The length of the example of commanded angles, s."""
LONG = 0.5
"""A longer pause than this, s, is not drawn: the policy waited for an update, or an episode began."""


def draw_stream(path: Path, stream: CommandStream, figures: StreamFigures, *, rate: float) -> None:
    """Writes a PNG with four panels: periods, gaps, speeds around the boundaries, and an example of the angles.

    Args:
        path: file to write; an existing file is replaced.
        stream: the commands.
        figures: the figures of the same stream.
        rate: the control rate, Hz.
    """
    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(f"Commands of {figures.num_chunks} chunks in real time", fontsize=13)
    _histogram(axes[0, 0], 1e3 * figures.periods, "time between two commands of a chunk, ms", high=99)
    _histogram(
        axes[0, 1], 1e3 * figures.gaps, "time from a chunk's last command to the next chunk's first, ms", high=95
    )
    _speeds(axes[1, 0], stream, rate)
    _example(axes[1, 1], stream)
    finish_panels(axes.flat, empty="nothing recorded")
    save(figure, path, dpi=110)


def _histogram(axis: Axes, values: np.ndarray, label: str, *, high: int) -> None:
    """Draws how often each time, ms, was measured, with the median and the percentile `high`."""
    axis.set_xlabel(label)
    axis.set_ylabel("number (logarithmic)")
    drawn = values[values <= 1e3 * LONG]
    if not len(drawn):
        return
    axis.hist(drawn, bins=60, color=COLOR, log=True)
    for percent, color in ((50, FAINT), (high, SECOND)):
        value = float(np.percentile(values, percent))
        axis.axvline(min(value, np.max(drawn)), color=color, label=f"{percent} % are at most {value:.1f} ms")
    if len(drawn) < len(values):
        axis.plot([], [], " ", label=f"{len(values) - len(drawn)} longer than {1e3 * LONG:.0f} ms are not drawn")


def _speeds(axis: Axes, stream: CommandStream, rate: float) -> None:
    """Draws the speed of the fastest joint in the steps around each boundary, in the order of the commands."""
    axis.set_xlabel("commands before (negative) and after a boundary")
    axis.set_ylabel("speed of the fastest joint, rad/s")
    pairs = [(before, after) for before, after in boundaries(stream) if after.last - after.first >= AROUND - 1]
    pairs = [(before, after) for before, after in pairs if before.last - before.first >= AROUND]
    if not pairs:
        return
    speeds = fastest(np.diff(stream.positions, axis=0) * rate)
    rows = np.array(
        [
            np.concatenate(
                [
                    speeds[before.last - AROUND : before.last],
                    [np.nan],
                    speeds[after.first - 1 : after.first + AROUND - 1],
                ]
            )
            for before, after in pairs
        ]
    )
    steps = np.concatenate([np.arange(-AROUND, 0), [0], np.arange(1, AROUND + 1)])
    low, median, high = np.percentile(rows, [5, 50, 95], axis=0)
    axis.fill_between(steps, low, high, color=FAINT, alpha=0.5, label=f"5 to 95 % of {len(pairs)} boundaries")
    axis.plot(steps, median, color=COLOR, marker=".", label="median")
    axis.set_ylim(bottom=0.0)


def _example(axis: Axes, stream: CommandStream) -> None:
    """Draws the joint that moved farthest, over some seconds without a new episode."""
    axis.set_xlabel("time, s")
    axis.set_ylabel("commanded angle, rad")
    window = _example_window(stream)
    if window.stop <= window.start + 1:
        return
    times, angles = stream.received[window] - stream.received[window.start], stream.positions[window]
    joint = int(np.argmax(np.ptp(angles, axis=0)))
    axis.plot(times, angles[:, joint], ".", markersize=3, color=COLOR, label=f"joint {joint + 1} of the arm")
    ends = [span.last for span in stream.spans if window.start <= span.last < window.stop]
    for number, end in enumerate(ends):
        label = "end of a chunk" if number == 0 else None
        axis.axvline(stream.received[end] - stream.received[window.start], color=SECOND, linewidth=0.8, label=label)


def _example_window(stream: CommandStream) -> slice:
    """Returns the commands of the longest part without a long gap, up to `EXAMPLE`."""
    breaks = np.flatnonzero(np.diff(stream.received) > LONG) + 1
    edges = np.concatenate([[0], breaks, [len(stream.received)]])
    longest = int(np.argmax(np.diff(edges)))
    start, end = int(edges[longest]), int(edges[longest + 1])
    last = int(np.searchsorted(stream.received[start:end], stream.received[start] + EXAMPLE))
    return slice(start, start + last)
