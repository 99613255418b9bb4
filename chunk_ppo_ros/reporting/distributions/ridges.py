"""Draws histograms of several updates one below the other, on one axis, as SVG, which needs no script."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.reporting.page.chart import BLUE, ORANGE
from chunk_ppo_ros.reporting.page.html import Html, joined, tag

_WIDTH, _LEFT, _RIGHT = 400.0, 96.0, 392.0
_ROW, _HIGH, _TOP = 40.0, 32.0, 8.0
_COLORS = (BLUE, ORANGE)


@dataclasses.dataclass(frozen=True)
class Ridge:
    """A row of a figure.

    Attributes:
        label: what the row is of, such as "update 3".
        histograms: one or two histograms, which are drawn over each other.
    """

    label: str
    histograms: tuple[Histogram, ...]


@dataclasses.dataclass(frozen=True)
class _Axis:
    """The horizontal axis of a figure, which all of its rows share."""

    low: float
    high: float
    is_log: bool

    def place(self, value: float) -> float:
        low, high, at = (math.log(each) if self.is_log else each for each in (self.low, self.high, value))
        return _LEFT + (_RIGHT - _LEFT) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        middle = math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2.0
        return [self.low, middle, self.high]


def figure(title: str, ridges: Sequence[Ridge], *, marks: Sequence[float] = (), labels: Sequence[str] = ()) -> Html:
    """Returns a figure.

    Args:
        title: what is drawn, with its unit in brackets.
        ridges: its rows from top to bottom; at least one, each with a histogram.
        marks: values at which a dashed line stands, where they are within the axis.
        labels: what the first and the second histogram of a row are; empty where each row has one.
    """
    axis = _axis([histogram for ridge in ridges for histogram in ridge.histograms])
    bottom = _TOP + _ROW * len(ridges)
    parts = [_row(axis, ridge, _TOP + _ROW * (number + 1)) for number, ridge in enumerate(ridges)]
    lines = [_mark(axis.place(mark), bottom) for mark in marks if axis.low < mark < axis.high]
    ticks = [
        _text(f"{tick:.3g}", axis.place(tick), bottom + 16.0, anchor)
        for tick, anchor in zip(axis.ticks(), ("start", "middle", "end"), strict=True)
    ]
    legend = [
        _text(label, _LEFT + 150.0 * place, bottom + 32.0, "start", fill=color)
        for place, (label, color) in enumerate(zip(labels, _COLORS, strict=False))
    ]
    height = bottom + (40.0 if labels else 22.0)
    content = joined([*parts, *lines, *ticks, *legend], "")
    picture = tag("svg", content, viewBox=f"0 0 {_WIDTH:g} {height:g}", role="img", aria_label=f"Histograms: {title}")
    return tag("figure", tag("h3", title), picture)


def _axis(histograms: Sequence[Histogram]) -> _Axis:
    low, high = min(each.low for each in histograms), max(each.high for each in histograms)
    is_log = all(each.is_log for each in histograms)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):  # All numbers are equal.
        low, high = (low / 1.1, high * 1.1) if is_log else (low - 0.5, high + 0.5)
    return _Axis(low, high, is_log)


def _row(axis: _Axis, ridge: Ridge, base: float) -> Html:
    shapes = [_shape(axis, histogram, base, color) for histogram, color in zip(ridge.histograms, _COLORS, strict=False)]
    line = tag("line", x1=_LEFT, y1=base, x2=_RIGHT, y2=base, stroke="#5a6270", stroke_width=0.7)
    return joined([*shapes, line, _text(ridge.label, 0.0, base - 4.0, "start")], "")


def _shape(axis: _Axis, histogram: Histogram, base: float, color: str) -> Html:
    """Returns the bars as one outline, whose highest bar fills the row. A single value is a thin bar."""
    places = np.array([axis.place(edge) for edge in histogram.edges])
    if len(histogram.counts) == 1:
        places = np.clip(places.mean() + np.array([-1.5, 1.5]), _LEFT, _RIGHT)
    most = max(histogram.counts)
    points = [(places[0], base)]
    for number, count in enumerate(histogram.counts):
        height = base - _HIGH * count / most
        points += [(places[number], height), (places[number + 1], height)]
    points.append((places[-1], base))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    told = f"{histogram.count} values, mean {histogram.mean:.4g}, {histogram.low:.4g} to {histogram.high:.4g}"
    return tag("polygon", tag("title", told), points=path, fill=color, fill_opacity=0.55, stroke=color)


def _mark(x: float, bottom: float) -> Html:
    place = {"x1": f"{x:.1f}", "y1": _TOP, "x2": f"{x:.1f}", "y2": f"{bottom:g}"}
    return tag("line", **place, stroke="#5a6270", stroke_dasharray="4 3")


def _text(text: str, x: float, y: float, anchor: str, *, fill: str = "#3a424e") -> Html:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, font_size=12, fill=fill)
