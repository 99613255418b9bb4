"""Chooses the charts of a run's page. Each metric of an update is in one of them, those of packages of users too."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from chunk_ppo_ros.reporting.curves.episodes import REWARD, SUCCESS, WINDOW, Episodes
from chunk_ppo_ros.reporting.curves.thinned import Points
from chunk_ppo_ros.reporting.curves.updates import NOT_KEPT, Updates
from chunk_ppo_ros.reporting.metric_table import METRICS, MetricRow
from chunk_ppo_ros.reporting.page.chart import BLUE, COLORS, GRAY, GREEN, ORANGE, Chart, Series, Style, finite
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.plots import decoding_text

MAX_OTHERS = 200
"""The largest number of charts of `other_charts`. A page of more would be too large for a browser."""
_TRAINING = f"training, sampled: last {WINDOW} episodes"
_ROWS = {row.name: row for row in METRICS["update"]}


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a chart of metrics of updates shows.

    Attributes:
        title: title of the chart, with its unit.
        names: logged names of metrics. One that ends in "/" stands for all that begin with it.
        note: what to look for.
        is_share: whether the values are shares of 1.
        from_zero: whether the vertical axis begins at 0.
    """

    title: str
    names: tuple[str, ...]
    note: str = ""
    is_share: bool = False
    from_zero: bool = False


_PLANS = (
    _Plan(
        "Reward terms (reward of a chunk, on average)", ("reward/term/",), "What each term adds: weight times value."
    ),
    _Plan("Reward of a chunk (reward)", ("reward/chunk_mean", "reward/chunk_min", "reward/chunk_max")),
    _Plan("Chunks outside of the clip range (share)", ("ratio/clip_fraction",), is_share=True, from_zero=True),
    _Plan("Explained variance of the value (1)", ("value/explained_variance", "value/chunk_explained_variance")),
    _Plan("Values and returns (reward)", ("value/mean", "return/mean", "advantage/std")),
    _Plan("Entropy of the policy (nats per token)", ("loss/entropy", "chunk/entropy_mean"), from_zero=True),
    _Plan("Losses (see the table of metrics for units)", ("loss/policy", "loss/value", "loss/chunk_value")),
    _Plan("Norms of the gradients (1)", ("grad_norm/actor", "grad_norm/value"), from_zero=True),
    _Plan("Time of a rollout and of an update (s)", ("time/rollout", "time/update"), from_zero=True),
    _Plan(
        "Safety: what a rollout saw (number)",
        ("safety/limited_chunks", "safety/faults", "safety/takeovers", "transitions/refused", "transitions/set_aside"),
        "A limited chunk had a target that the safety layer changed.",
        from_zero=True,
    ),
    _Plan("Steps that the safety layer limited (share)", ("safety/clamped_share",), is_share=True, from_zero=True),
    _Plan("Executed steps of a chunk (control steps)", ("chunk/num_steps_mean", "chunk/num_steps_min"), from_zero=True),
    _Plan(
        "Chunks that humans drove, and invalid ones (share)",
        ("rollout/human_fraction", "decoding/invalid_fraction"),
        is_share=True,
        from_zero=True,
    ),
    _Plan(
        "Attempts that were undone, and the scale of the rate",
        ("update/rolled_back", "update/rate_scale"),
        from_zero=True,
    ),
)


def main_charts(run: RunData) -> list[Chart]:
    """Returns the charts that everybody looks at, in order."""
    first = [_success(run), _reward(run)]
    return [*first, _ratio(run), _ratio_spread(run), _kl(run), *(_planned(run.updates, plan) for plan in _PLANS)]


def other_charts(run: RunData) -> list[Chart]:
    """Returns a chart for each metric of an update that no chart of `main_charts` shows."""
    shown = {name for plan in _PLANS for name in plan.names} | {"kl/after", "kl/approx", "kl/k2", "ratio/"}
    left = [name for name in run.updates.names if not any(name == each or _is_below(name, each) for each in shown)]
    plans = [_Plan(f"{name} ({_unit(name)})", (name,), _meaning(name)) for name in sorted(left)[:MAX_OTHERS]]
    return [_planned(run.updates, plan) for plan in plans]


def _is_below(name: str, start: str) -> bool:
    return start.endswith("/") and name.startswith(start)


def _row(name: str) -> MetricRow | None:
    """Returns the row of a metric in the table, or None for a metric of another package."""
    return _ROWS.get(name)


def _unit(name: str) -> str:
    row = _row(name)
    return row.unit if row else "unit not known"


def _meaning(name: str) -> str:
    row = _row(name)
    return f"{row.meaning} {row.good}".strip() if row else ""


def _planned(updates: Updates, plan: _Plan) -> Chart:
    """Returns the chart of a plan. Where one metric is shown, its meaning stands below."""
    names: list[str] = []
    for name in plan.names:
        names += [key for key in updates.names if _is_below(key, name)] if name.endswith("/") else [name]
    series = [
        _of_updates(updates, name, color=COLORS[place % len(COLORS)], label=name.removeprefix("reward/term/"))
        for place, name in enumerate(names)
    ]
    logged = [name for name in names if name in updates.names]
    note = plan.note or (_meaning(logged[0]) if len(logged) == 1 else "")
    return Chart(
        plan.title,
        series,
        note=note,
        empty=_why_empty(plan.names, updates),
        is_share=plan.is_share,
        from_zero=plan.from_zero,
    )


def _why_empty(names: Sequence[str], updates: Updates) -> str:
    if not len(updates):
        return "No values yet: the run has made no update."
    if any(name in updates.names for name in names):
        return "No value is a finite number so far."
    when = next((row.when for name in names if (row := _row(name)) and row.when), "")
    return f"Not measured in this run: it is logged where {when}." if when else "Not logged by this run."


def _of_updates(updates: Updates, name: str, *, color: str, label: str = "", style: Style = "line") -> Series:
    return _series(label or name, updates.curves.line(name), updates.curves.rows_per_part, style=style, color=color)


def _series(label: str, points: Points, rows_per_part: int, *, style: Style, color: str) -> Series:
    x, y = (column.tolist() for column in points)
    return Series(label, x, y, style, color, rows_per_part=rows_per_part)


def _success(run: RunData) -> Chart:
    series = [_mean(run.episodes, SUCCESS, label=_TRAINING)]
    for place, (prompt, own) in enumerate(run.episodes.by_prompt.items()):
        color = COLORS[(place + 2) % len(COLORS)]
        series.append(_mean(own, SUCCESS, label=prompt, style="thin", color=color))
    series += _evaluations(run, "success")
    note = (
        "Training samples tokens. A greedy evaluation takes the likeliest ones, with which a trained policy usually "
        "solves more episodes."
    )
    empty = "No values yet: no episode has ended."
    return Chart("Episodes solved (share)", series, note=note, empty=empty, is_share=True)


def _reward(run: RunData) -> Chart:
    curves = run.episodes.curves
    points = _series("an episode", curves.line(REWARD), curves.rows_per_part, style="points", color="#9dbfe3")
    series = [points, _mean(run.episodes, REWARD, label=_TRAINING), *_evaluations(run, "reward")]
    return Chart("Reward of an episode (reward)", series, empty="No values yet: no episode has ended.")


def _mean(episodes: Episodes, name: str, *, label: str, style: Style = "line", color: str = BLUE) -> Series:
    """Returns the running mean over the finished episodes. Means over only a few of them are left out."""
    return _series(label, episodes.mean(name), episodes.curves.rows_per_part, style=style, color=color)


def _evaluations(run: RunData, name: str) -> list[Series]:
    """Returns the evaluations of each way of decoding, as points with intervals."""
    series = []
    for place, decoding in enumerate(dict.fromkeys(record["evaluation/decoding"] for record in run.evaluations)):
        records = [record for record in run.evaluations if record["evaluation/decoding"] == decoding]
        records = list({record["num_chunks"]: record for record in records}.values())
        records.sort(key=lambda record: float(record["num_chunks"]))
        low, mean, high = (
            [record[f"evaluation/{name}_{end}"] for record in records] for end in ("low", "mean", "high")
        )
        label = f"evaluation, {decoding_text(decoding)}, 95 % interval"
        color = (ORANGE, GREEN)[place % 2]
        chunks = [float(record["num_chunks"]) for record in records]
        series.append(Series(label, chunks, mean, "intervals", color, low, high))
    return series


def _ratio(run: RunData) -> Chart:
    names = {"ratio/max": "largest", "ratio/mean": "mean", "ratio/min": "smallest"}
    colors = {"ratio/max": ORANGE, "ratio/mean": BLUE, "ratio/min": GREEN}
    series = [_of_updates(run.updates, name, color=colors[name], label=label) for name, label in names.items()]
    series += [_level(run.updates, f"clip range {edge:g}", edge) for edge in run.clip_range]
    note = "The ratio of new to old probability over all gradient steps. Beyond the dashed lines it is clipped."
    return Chart("Ratio of new to old probability (1)", series, note=note, is_log=_all_positive(series))


def _ratio_spread(run: RunData) -> Chart:
    curves, name = run.updates.curves, "ratio/after_p{:02d}".format
    x, median = (column.tolist() for column in curves.mean(name(50)))

    def band(label: str, color: str, low: int, high: int) -> Series:
        ends = curves.low(name(low))[1].tolist(), curves.high(name(high))[1].tolist()
        return Series(label, x, median, "band", color, *ends, rows_per_part=curves.rows_per_part)

    series = [
        band("the middle 90 %", "#9dbfe3", 5, 95),
        band("the middle 50 %", "#5b8fca", 25, 75),
        Series("median", x, median),
    ]
    note = "The ratios of whole chunks after an update. They are 1 where the update did not move the policy."
    empty = _why_empty([name(50)], run.updates)
    return Chart(
        "Spread of the ratios after an update (1)", series, note=note, empty=empty, is_log=_all_positive(series)
    )


def _kl(run: RunData) -> Chart:
    updates, limit = run.updates, run.config["ppo"].get("max_kl")
    series = [
        _of_updates(updates, name, color=color)
        for name, color in (("kl/after", BLUE), ("kl/approx", ORANGE), ("kl/k2", GREEN))
    ]
    series.append(_of_updates(updates, NOT_KEPT, color=ORANGE, label="update not kept", style="crosses"))
    if limit:
        series.append(_level(updates, "limit ppo.max_kl", limit))
    note = "Judge an update by kl/after. It is 0.1 to 0.7 in runs that learn well."
    return Chart("KL from before to after an update (nats per chunk)", series, note=note, from_zero=True)


def _level(updates: Updates, label: str, value: float) -> Series:
    """Returns a dashed line at a value, from the first update to the last."""
    ends = [] if updates.first is None or updates.last is None else [updates.first, updates.last]
    return Series(label, [float(record["num_chunks"]) for record in ends], [value] * len(ends), "dashed", GRAY)


def _all_positive(series: Sequence[Series]) -> bool:
    values = [value for each in series for column in (each.y, each.low, each.high) for value in column]
    return all(value > 0.0 for value in map(finite, values) if value is not None)
