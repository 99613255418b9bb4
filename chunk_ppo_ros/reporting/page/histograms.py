"""Draws histograms as SVG, which needs no script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.wording.counts import clause, count_of
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts
from chunk_ppo_ros.reporting.page.chart import BLUE
from chunk_ppo_ros.reporting.page.html import Html, joined, tag

_BINS = 24
_WIDTH, _HEIGHT, _BASE = 320.0, 150.0, 122.0


def histograms(chunks: Sequence[ChunkFacts]) -> Html:
    """Returns the histograms of the numbers of chunks: rewards, values, log-probabilities and executed steps."""
    sampled = [chunk for chunk in chunks if not chunk.human_driven]
    drawn = [
        _histogram("Reward of a chunk (reward)", [chunk.reward for chunk in chunks]),
        _histogram("Value V(s) at its start (reward)", [chunk.value for chunk in chunks]),
        _histogram("Log-probability of a sampled chunk (nats)", [chunk.log_prob for chunk in sampled]),
        _histogram("Entropy while sampling (nats per token)", [chunk.entropy for chunk in sampled]),
    ]
    return tag("div", *drawn, class_="histograms")


def _histogram(title: str, values: Sequence[float]) -> Html:
    finite = np.array([value for value in values if np.isfinite(value)])
    if not finite.size:
        return tag("figure", tag("h3", title), tag("p", "There is no such chunk in the sample.", class_="empty"))
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        text = f"{clause(finite.size, 'chunk', 'has', 'have')} the value {low:.4g}."
        return tag("figure", tag("h3", title), tag("p", text, class_="empty"))
    counts, _ = np.histogram(finite, bins=_BINS, range=(low, high))
    left_out = len(values) - finite.size
    note = f"{count_of(finite.size, 'chunk')}, mean {finite.mean():.4g}, median {np.median(finite):.4g}."
    note += f" {left_out} are left out, because they are not finite." if left_out else ""
    return tag("figure", tag("h3", title), _svg(counts, low, high, title), tag("p", note, class_="note"))


def _svg(counts: np.ndarray, low: float, high: float, title: str) -> Html:
    width, most = _WIDTH / _BINS, int(counts.max())
    bars = [
        tag(
            "rect",
            tag("title", f"{low + (high - low) * place / _BINS:.3g} and more: {count_of(count, 'chunk')}"),
            x=f"{place * width + 0.5:.1f}",
            y=f"{_BASE - 104.0 * count / most:.1f}",
            width=f"{width - 1.0:.1f}",
            height=f"{104.0 * count / most:.1f}",
            fill=BLUE,
        )
        for place, count in enumerate(counts.tolist())
        if count
    ]
    texts = [
        _text(f"{low:.3g}", 0.0, "start"),
        _text(f"{(low + high) / 2.0:.3g}", _WIDTH / 2.0, "middle"),
        _text(f"{high:.3g}", _WIDTH, "end"),
        _text(f"the highest bar: {count_of(most, 'chunk')}", _WIDTH, "end", y=12.0),
    ]
    line = tag("line", x1=0, y1=_BASE, x2=_WIDTH, y2=_BASE, stroke="#5a6270")
    content = joined([*bars, line, *texts], "")
    return tag("svg", content, viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", role="img", aria_label=f"Histogram: {title}")


def _text(text: str, x: float, anchor: str, *, y: float = _BASE + 16.0) -> Html:
    return tag("text", text, x=x, y=y, text_anchor=anchor, font_size=12, fill="#3a424e")
