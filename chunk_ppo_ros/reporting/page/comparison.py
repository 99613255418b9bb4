"""Writes the page that compares runs, with intervals over seeds."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.reporting.curves.episodes import REWARD, SUCCESS
from chunk_ppo_ros.reporting.curves.thinned import Points
from chunk_ppo_ros.reporting.page.chart import COLORS, Chart, Series, Style
from chunk_ppo_ros.reporting.page.html import Html, joined, section, table, tag, with_links
from chunk_ppo_ros.reporting.page.page import PAGE_NAME, document
from chunk_ppo_ros.reporting.page.provenance import shown
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.page.seed_groups import Group, differing_settings, group_runs, interval_text, mean_curve
from chunk_ppo_ros.reporting.plots import decoding_text
from chunk_ppo_ros.reporting.progress.durations import duration_text

COMPARISON_NAME = "comparison.html"
"""The name of the page, which is written beside the folders of the runs unless another place is given."""

_UPDATES = {
    "reward/chunk_mean": "Mean reward of a chunk (reward)",
    "kl/after": "KL from before to after an update (nats per chunk)",
    "ratio/clip_fraction": "Chunks outside of the clip range (share)",
    "value/explained_variance": "Explained variance of the value (1)",
    "loss/entropy": "Entropy of the policy (nats per token)",
    "grad_norm/actor": "Norm of the actor's gradient (1)",
    "time/rollout": "Time of a rollout (s)",
    "time/update": "Time of an update (s)",
}
"""The metrics of updates that are compared, with the titles of their charts."""


def write_comparison(runs: Sequence[RunData], path: Path) -> Path:
    """Writes the page that compares runs, and returns its path.

    Args:
        runs: the runs, at least two.
        path: the file to write; an existing one is replaced.

    Raises:
        OSError: when the file cannot be written.
    """
    content = _page(runs, group_runs(runs), path.parent)
    write_atomically(path, lambda file: file.write(content.encode()), durable=False)
    return path


def _page(runs: Sequence[RunData], groups: Sequence[Group], folder: Path) -> Html:
    charts = [
        _chart(
            "Episodes solved while training, sampled (share)",
            groups,
            functools.partial(_episodes, name=SUCCESS),
            is_share=True,
        ),
        _chart("Reward of an episode, sampled (reward)", groups, functools.partial(_episodes, name=REWARD)),
        *(_chart(title, groups, functools.partial(_updates, name=name)) for name, title in _UPDATES.items()),
    ]
    written = time.strftime("%Y-%m-%d %H:%M:%S")
    told = f"{count_of(len(runs), 'run')} in {count_of(len(groups), 'group')}, written at {written}. "
    told += (
        "The runs of a group differ only in the seed, in names and in folders. Thick curves are means over the runs of "
        "a group, areas are 95 % intervals over its runs (Student's t), and thin curves are single runs."
    )
    parts = max(table.rows_per_part for run in runs for table in (run.updates.curves, run.episodes.curves))
    if parts > 1:
        told += f" Curves of long runs are thinned: they show the mean of up to {parts} updates or episodes."
    alone = any(len(group.runs) == 1 for group in groups)
    warning = "A group of one run has no interval: one run does not say how far another seed would be from it."
    elements = [chart.element(number) for number, chart in enumerate(charts)]
    sections = [
        section("Groups", _groups_table(groups), anchor="groups"),
        *([section("Settings that differ", _settings_table(groups), anchor="settings")] if len(groups) > 1 else []),
        section("Curves", tag("div", *elements, class_="charts"), anchor="curves"),
        section("Runs", _runs_table(groups, folder), anchor="runs"),
    ]
    body = [
        tag("h1", f"Comparison of {len(runs)} runs"),
        tag("p", told, class_="soft"),
        *([tag("p", warning, class_="warning")] if alone else []),
        *_equal_seeds(groups),
        with_links(sections),
    ]
    return document(f"Comparison of {len(runs)} runs", joined(body), charts)


def _chart(
    title: str, groups: Sequence[Group], curve_of: Callable[[RunData], Points], *, is_share: bool = False
) -> Chart:
    series: list[Series] = []
    for place, group in enumerate(groups):
        color = COLORS[place % len(COLORS)]
        mean = mean_curve(group, curve_of)
        if mean is not None and mean.num_runs > 1:
            ends = (np.clip(end, 0.0, 1.0) if is_share else end for end in (mean.low, mean.high))
            x, y, low, high = (column.tolist() for column in (mean.x, mean.mean, *ends))
            series.append(Series(f"{group.name}, 95 % interval", x, y, "band", color, low, high))
            series.append(Series(f"{group.name}, mean of {mean.num_runs}", x, y, "line", color))
        for run in group.runs:
            x_run, y_run = curve_of(run)
            style: Style = "thin" if len(group.runs) > 1 else "line"
            series.append(Series(f"{run.name} ({group.name})", x_run.tolist(), y_run.tolist(), style, color))
    return Chart(title, series, empty="No run has logged this.", is_share=is_share)


def _episodes(run: RunData, *, name: str) -> Points:
    return _known(run.episodes.mean(name))


def _updates(run: RunData, *, name: str) -> Points:
    return _known(run.updates.curves.mean(name))


def _known(points: Points) -> Points:
    """Returns the points of a curve whose values are finite."""
    x, y = points
    return x[np.isfinite(y)], y[np.isfinite(y)]


def _groups_table(groups: Sequence[Group]) -> Html:
    header = (
        "group",
        "runs",
        "solved by the first episodes, sampled",
        "solved by the last episodes, sampled",
        "last evaluation",
        "reward of a chunk in the last rollout",
        "settings",
    )
    return table(header, [_group_row(group) for group in groups], kind="plain")


def _group_row(group: Group) -> tuple[object, ...]:
    begun = [run.episodes for run in group.runs if len(run.episodes)]
    first, last = [each.first.solved for each in begun], [each.last.solved for each in begun]
    rewards = [run.updates.last.get("reward/chunk_mean") for run in group.runs if run.updates.last]
    known = [reward for reward in rewards if reward is not None]
    return (
        group.name,
        len(group.runs),
        interval_text(first, ".1%", is_share=True),
        interval_text(last, ".1%", is_share=True),
        _evaluated(group),
        interval_text(known, ".3f"),
        group.label,
    )


def _evaluated(group: Group) -> str:
    """Returns the success of the last evaluations, for each way of decoding."""
    found: dict[str, list[float]] = {}
    for run in group.runs:
        newest = {record["evaluation/decoding"]: record["evaluation/success_mean"] for record in run.evaluations}
        for decoding, success in newest.items():
            found.setdefault(decoding_text(decoding), []).append(success)
    texts = [_of_runs(decoding, values) for decoding, values in found.items()]
    return "; ".join(texts) or "none"


def _equal_seeds(groups: Sequence[Group]) -> list[Html]:
    """Returns a warning that names the groups in which runs have the same seed; none where all seeds differ."""
    seeds = {group.name: [run.config["run"].get("seed") for run in group.runs] for group in groups}
    named = [name for name, of in seeds.items() if len(set(of)) < len(of)]
    if not named:
        return []
    text = f"Some runs have the same seed, in {', '.join(named)}. An interval over them is not one over seeds."
    return [tag("p", text, class_="warning")]


def _of_runs(decoding: str, values: Sequence[float]) -> str:
    return f"{decoding}, {count_of(len(values), 'run')}: {interval_text(values, '.1%', is_share=True)}"


def _settings_table(groups: Sequence[Group]) -> Html:
    """Returns a row for each setting in which the groups differ."""
    rows = [(tag("code", name), *map(shown, values)) for name, values in differing_settings(groups).items()]
    return table(("setting", *(group.name for group in groups)), rows, kind="plain")


def _runs_table(groups: Sequence[Group], folder: Path) -> Html:
    rows = []
    for group in groups:
        for run in group.runs:
            rows.append(
                (
                    _link(run, folder),
                    group.name,
                    run.config["run"].get("seed", "not recorded"),
                    f"{run.num_steps} of {run.total_steps}{'' if run.is_complete else ' (not complete)'}",
                    len(run.episodes),
                    "not recorded" if run.wall is None else duration_text(run.wall),
                    _version(run),
                    run.start.get("start") or "not recorded",
                )
            )
    header = ("run", "group", "seed", "control steps", "episodes", "duration", "version", "start")
    return table(header, rows, kind="plain")


def _version(run: RunData) -> str:
    """Returns the version of this package that made a run, with the commit where that is known."""
    software = run.start.get("software", {})
    version, commit = software.get("chunk_ppo_ros", "not recorded"), software.get("commit")
    return f"{version} ({commit})" if commit else version


def _link(run: RunData, folder: Path) -> Html:
    """Returns the name of a run, as a link to its page where that is below the folder of the comparison."""
    page = run.folder.resolve() / PAGE_NAME
    if page.is_file() and page.is_relative_to(folder.resolve()):
        return tag("a", run.name, href=page.relative_to(folder.resolve()).as_posix())
    return tag("span", run.name)
