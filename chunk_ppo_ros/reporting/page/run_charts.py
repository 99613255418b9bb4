"""Chooses the charts of a run's page. Each metric of an update is in one of them, those of packages of users too."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.reporting.metric_table import METRICS, MetricRow
from chunk_ppo_ros.reporting.metrics_file import Record
from chunk_ppo_ros.reporting.page.chart import BLUE, COLORS, GRAY, GREEN, ORANGE, Chart, Series
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.plots import WINDOW, decoding_text, running_mean
from chunk_ppo_ros.reporting.prompt_tables import episodes_by_prompt

_COUNTERS = {"num_chunks", "num_steps", "policy_version", "time"}
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
    names = dict.fromkeys(name for update in run.updates for name, value in update.items() if _is_metric(name, value))
    left = [name for name in names if not any(name == each or _is_below(name, each) for each in shown)]
    return [_planned(run.updates, _Plan(f"{name} ({_unit(name)})", (name,), _meaning(name))) for name in sorted(left)]


def _is_metric(name: str, value: object) -> bool:
    is_number = value is None or isinstance(value, (int, float))
    return is_number and name not in _COUNTERS and not name.startswith("run_time/")


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


def _planned(updates: Sequence[Record], plan: _Plan) -> Chart:
    """Returns the chart of a plan. Where one metric is shown, its meaning stands below."""
    names: list[str] = []
    for name in plan.names:
        found = dict.fromkeys(key for update in updates for key in update if _is_below(key, name))
        names += found if name.endswith("/") else [name]
    series = [
        _of_updates(updates, name, color=COLORS[place % len(COLORS)], label=name.removeprefix("reward/term/"))
        for place, name in enumerate(names)
    ]
    logged = [name for name in names if any(name in update for update in updates)]
    note = plan.note or (_meaning(logged[0]) if len(logged) == 1 else "")
    return Chart(
        plan.title,
        series,
        note=note,
        empty=_why_empty(plan.names, updates),
        is_share=plan.is_share,
        from_zero=plan.from_zero,
    )


def _why_empty(names: Sequence[str], updates: Sequence[Record]) -> str:
    if not updates:
        return "No values yet: the run has made no update."
    if any(name in update for name in names for update in updates):
        return "No value is a finite number so far."
    when = next((row.when for name in names if (row := _row(name)) and row.when), "")
    return f"Not measured in this run: it is logged where {when}." if when else "Not logged by this run."


def _of_updates(updates: Sequence[Record], name: str, *, color: str, label: str = "") -> Series:
    return Series(label or name, _chunks(updates), [update.get(name) for update in updates], color=color)


def _chunks(updates: Sequence[Record]) -> list[float]:
    return [float(update["num_chunks"]) for update in updates]


def _success(run: RunData) -> Chart:
    series = [*_episode_curve(run, "episode/success", color=BLUE, label=f"training, sampled: last {WINDOW} episodes")]
    for place, (prompt, records) in enumerate(episodes_by_prompt(run.episodes).items()):
        chunks = {id(record): x for record, x in zip(run.episodes, _episode_chunks(run.episodes), strict=True)}
        means = running_mean(np.array([record["episode/success"] for record in records], float), WINDOW)
        x = [chunks[id(record)] for record in records]
        series.append(Series(prompt, x, means.tolist(), style="thin", color=COLORS[(place + 2) % len(COLORS)]))
    series += _evaluations(run, "success")
    note = "Training samples tokens. A greedy evaluation takes the likeliest ones, and usually solves more episodes."
    empty = "No values yet: no episode has ended."
    return Chart("Episodes solved (share)", series, note=note, empty=empty, is_share=True)


def _reward(run: RunData) -> Chart:
    points = Series(
        "an episode",
        _episode_chunks(run.episodes),
        [record["episode/total_reward"] for record in run.episodes],
        style="points",
        color="#9dbfe3",
    )
    curve = _episode_curve(run, "episode/total_reward", color=BLUE, label=f"training, sampled: last {WINDOW} episodes")
    series = [points, *curve, *_evaluations(run, "reward")]
    return Chart("Reward of an episode (reward)", series, empty="No values yet: no episode has ended.")


def _episode_chunks(episodes: Sequence[Record]) -> list[float]:
    return [float(x) for x in np.cumsum([record["episode/num_chunks"] for record in episodes])]


def _episode_curve(run: RunData, name: str, *, color: str, label: str) -> list[Series]:
    """Returns the running mean over the finished episodes. Means over only a few of them are left out."""
    if not run.episodes:
        return []
    means = running_mean(np.array([record[name] for record in run.episodes], float), WINDOW)
    start = min(WINDOW, len(means)) // 2
    return [Series(label, _episode_chunks(run.episodes)[start:], means[start:].tolist(), color=color)]


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
        series.append(Series(label, _chunks(records), mean, "intervals", color, low, high))
    return series


def _ratio(run: RunData) -> Chart:
    names = {"ratio/max": "largest", "ratio/mean": "mean", "ratio/min": "smallest"}
    colors = {"ratio/max": ORANGE, "ratio/mean": BLUE, "ratio/min": GREEN}
    series = [_of_updates(run.updates, name, color=colors[name], label=label) for name, label in names.items()]
    for edge in run.clip_range:
        series.append(Series(f"clip range {edge:g}", _chunks(run.updates), [edge] * len(run.updates), "dashed", GRAY))
    note = "The ratio of new to old probability over all gradient steps. Beyond the dashed lines it is clipped."
    return Chart("Ratio of new to old probability (1)", series, note=note, is_log=_all_positive(series))


def _ratio_spread(run: RunData) -> Chart:
    updates = run.updates
    names = {share: f"ratio/after_p{share:02d}" for share in (5, 25, 50, 75, 95)}
    column = {share: [update.get(name) for update in updates] for share, name in names.items()}
    series = [
        Series("the middle 90 %", _chunks(updates), column[50], "band", "#9dbfe3", column[5], column[95]),
        Series("the middle 50 %", _chunks(updates), column[50], "band", "#5b8fca", column[25], column[75]),
        Series("median", _chunks(updates), column[50]),
    ]
    note = "The ratios of whole chunks after an update. They are 1 where the update did not move the policy."
    empty = _why_empty(list(names.values()), updates)
    return Chart(
        "Spread of the ratios after an update (1)", series, note=note, empty=empty, is_log=_all_positive(series)
    )


def _kl(run: RunData) -> Chart:
    updates, limit = run.updates, run.config["ppo"].get("max_kl")
    series = [
        _of_updates(updates, name, color=color)
        for name, color in (("kl/after", BLUE), ("kl/approx", ORANGE), ("kl/k2", GREEN))
    ]
    undone = [update for update in updates if update.get("update/accepted") == 0.0]
    series.append(
        Series("update not kept", _chunks(undone), [row.get("kl/after") for row in undone], "crosses", ORANGE)
    )
    if limit:
        series.append(Series("limit ppo.max_kl", _chunks(updates), [limit] * len(updates), "dashed", GRAY))
    note = "Judge an update by kl/after: 0.1 to 0.7 in runs that learn well."
    return Chart("KL from before to after an update (nats per chunk)", series, note=note, from_zero=True)


def _all_positive(series: Sequence[Series]) -> bool:
    values = [value for each in series for column in (each.y, each.low, each.high) for value in column]
    return all(value > 0.0 for value in values if value is not None)
