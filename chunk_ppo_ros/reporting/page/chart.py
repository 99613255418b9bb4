"""The charts of a page as data, which `page.js` draws with uPlot."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Literal

from chunk_ppo_ros.reporting.page.html import Html, tag

Style = Literal["line", "thin", "points", "crosses", "dashed", "intervals", "band"]
Value = float | None

BLUE, ORANGE, GREEN, PURPLE, BROWN, PINK, GRAY = (
    "#1f5fa8",
    "#c4501b",
    "#1d7a4f",
    "#7a3fa0",
    "#7d6200",
    "#b0307a",
    "#5a6270",
)
COLORS = (BLUE, ORANGE, GREEN, PURPLE, BROWN, PINK, GRAY)
"""Colors of series in order, each of which has a contrast of at least 4.5 to white."""


@dataclasses.dataclass(frozen=True)
class Series:
    """A series of a chart.

    Attributes:
        label: name in the legend.
        x: horizontal positions, in rising order.
        y: values; None where there is none.
        style: how it is drawn. "intervals" are points with `low` and `high`, a "band" is the area between them.
        color: color, as CSS writes it.
        low: lower ends of intervals or of a band.
        high: their upper ends.
        rows_per_part: number of rows of the metrics for which one part of the curve stands.
    """

    label: str
    x: Sequence[float]
    y: Sequence[Value]
    style: Style = "line"
    color: str = BLUE
    low: Sequence[Value] = ()
    high: Sequence[Value] = ()
    rows_per_part: int = 1

    @property
    def has_values(self) -> bool:
        """Whether there is something to draw."""
        return any(finite(value) is not None for value in self.y)


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: what is drawn, with its unit in brackets.
        series: what is drawn.
        note: a sentence or two below the chart.
        empty: the sentence that stands in the place of a chart without values.
        is_share: whether values are shares of 1, which are shown in percent.
        is_log: whether the vertical axis is logarithmic.
        from_zero: whether the vertical axis begins at 0.
        x_label: what the horizontal axis counts.
    """

    title: str
    series: Sequence[Series]
    note: str = ""
    empty: str = "No values yet: the run has made no update."
    is_share: bool = False
    is_log: bool = False
    from_zero: bool = False
    x_label: str = "chunks trained on"

    def element(self, number: int) -> Html:
        """Returns the place of the chart on the page. `number` is its place in the list of `charts_data`."""
        drawn = any(series.has_values for series in self.series)
        plot = tag("div", class_="plot", data_chart=number) if drawn else tag("p", self.empty, class_="empty")
        most = max((series.rows_per_part for series in self.series if series.has_values), default=1)
        note = [tag("p", text, class_="note") for text in (self.note, thinned_note(most)) if text]
        return tag("figure", tag("h3", self.title), plot, *note, class_="chart")


def thinned_note(rows_per_part: int) -> str:
    """Returns a sentence that says that a curve is thinned; empty where it is not."""
    if rows_per_part == 1:
        return ""
    return f"The curve is thinned: of every {rows_per_part} points the lowest and the highest are drawn."


def charts_data(charts: Sequence[Chart]) -> Html:
    """Returns the element that holds the data of the charts, which `page.js` reads."""
    text = json.dumps([_data(chart) for chart in charts], allow_nan=False)
    # In a script element only "</" and "<!--" have a meaning, and a JSON string may write "<" as a code.
    return Html(f'<script type="application/json" id="charts">{text.replace("<", chr(92) + "u003c")}</script>')


def finite(value: Value) -> Value:
    """Returns a number of at most six digits, or None for what is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _data(chart: Chart) -> dict[str, object]:
    drawn = [series for series in chart.series if series.has_values]
    positions = sorted({float(x) for series in drawn for x in series.x})
    return {
        "x": positions,
        "xLabel": chart.x_label,
        "isShare": chart.is_share,
        "isLog": chart.is_log,
        "fromZero": chart.from_zero,
        "series": [_series(series, positions) for series in drawn],
    }


def _series(series: Series, positions: Sequence[float]) -> dict[str, object]:
    index = {x: place for place, x in enumerate(positions)}
    columns = {"y": series.y, "low": series.low, "high": series.high}
    data: dict[str, object] = {"label": series.label, "style": series.style, "color": series.color}
    for name, values in columns.items():
        if values:
            column: list[Value] = [None] * len(positions)
            for x, value in zip(series.x, values, strict=True):
                column[index[float(x)]] = finite(value)
            data[name] = column
    return data
