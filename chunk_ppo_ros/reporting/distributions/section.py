"""Makes the part of a run's page that shows how distributions changed from update to update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.reporting.distributions.ridges import Ridge, figure
from chunk_ppo_ros.reporting.distributions.stored import UpdateHistograms, read_histograms
from chunk_ppo_ros.reporting.metric_table import DISTRIBUTIONS
from chunk_ppo_ros.reporting.page.html import Html, joined, tag
from chunk_ppo_ros.reporting.page.run_data import RunData

_RATIO, _VALUE, _RETURN = "distribution/ratio", "distribution/value", "distribution/return"
_NOTE = (
    "Each row is an update, from the first to the newest. All rows of a figure have one axis, and the highest bar of "
    "each row has the same height. Point at a row for its numbers. Dashed lines are the clip range of the ratios, and "
    "an advantage of 0. The chunks that humans drove are left out."
)


def distributions(run: RunData) -> Html:
    """Returns the histograms of some updates, and those of the lengths of episodes."""
    try:
        updates = read_histograms(run.folder, run.run_id)
    except (OSError, ValueError) as error:
        return tag("p", f"The histograms of the updates cannot be read: {error}", class_="warning")
    figures = [*_of_updates(run, updates), *_lengths(run)]
    if not figures:
        return tag("p", "No histogram of an update is stored yet.", class_="empty")
    return joined([tag("p", _NOTE, class_="note"), tag("div", *figures, class_="histograms ridges")])


def _of_updates(run: RunData, updates: Sequence[UpdateHistograms]) -> list[Html]:
    rows = {row.name: row for row in DISTRIBUTIONS}
    names = list(dict.fromkeys([*rows, *(name for update in updates for name in update.histograms)]))
    names.remove(_RETURN)  # It is drawn over the values.
    figures = []
    for name in names:
        both = (name, _RETURN) if name == _VALUE else (name,)
        ridges = [
            Ridge(f"update {update.policy_version}", tuple(update.histograms[each] for each in both))
            for update in updates
            if all(each in update.histograms for each in both)
        ]
        if not ridges:
            continue
        title = f"{rows[name].title} ({rows[name].unit})" if name in rows else f"{name} (unit not known)"
        marks = run.clip_range if name == _RATIO else (0.0,) if name == "distribution/advantage" else ()
        figures.append(figure(title, ridges, marks=marks, labels=("values", "returns") if len(both) > 1 else ()))
    return figures


def _lengths(run: RunData) -> list[Html]:
    first, last = map(_of_counts, run.episodes.lengths)
    if first is None or last is None:
        return []
    ridges = [Ridge("first quarter", (first,)), Ridge("last quarter", (last,))]
    return [figure("Length of an episode (chunks)", ridges)]


def _of_counts(counts: Counter[int]) -> Histogram | None:
    """Returns a histogram of how often each length came."""
    return Histogram.of(np.repeat(list(counts), list(counts.values()))) if counts else None
