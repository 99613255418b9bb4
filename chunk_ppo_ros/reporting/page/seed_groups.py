"""Groups runs that differ only in their seed, and takes means and intervals over the runs of a group."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.reporting.curves.thinned import Points
from chunk_ppo_ros.reporting.page.changed_settings import nearest_preset, present
from chunk_ppo_ros.reporting.page.run_data import RunData

LEVEL = 0.95
"""The level of the intervals."""
_ABSENT = "(not a setting of its version)"
_PROMPT = "run.prompt"
"""The only setting of the section `run` that must agree within a group: it says the task."""
_GRID = 80
"""The number of places at which curves of several runs are compared."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs whose settings differ only in seed, names and folders: those of the section `run` but for the prompt.

    Attributes:
        name: a short name for legends, such as "group A".
        label: its settings as the nearest preset, and what differs from that.
        runs: its runs, at least one.
    """

    name: str
    label: str
    runs: tuple[RunData, ...]


@dataclasses.dataclass(frozen=True)
class GroupCurve:
    """A curve of a group: float [N] each, over the positions that all of its runs reached.

    Attributes:
        x: positions.
        mean: means over the runs.
        low: lower ends of the intervals; NaN where there is only one run.
        high: upper ends of the intervals.
        num_runs: number of the runs that have the curve.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    num_runs: int


def group_runs(runs: Sequence[RunData]) -> list[Group]:
    """Returns the groups in the order of their first runs."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_compared(run.config), sort_keys=True), []).append(run)
    return [
        Group(f"group {_letters(number)}", nearest_preset(members[0].config), tuple(members))
        for number, members in enumerate(groups.values())
    ]


def differing_settings(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """Returns the values of each setting in which groups differ, one for each group.

    Which settings there are depends on the version that made a run. A text says where a group lacks one.
    """
    settings = [_compared(group.runs[0].config) for group in groups]
    names = dict.fromkeys(name for own in settings for name in own)
    values = {name: [own.get(name, _ABSENT) for own in settings] for name in names}
    return {name: found for name, found in values.items() if any(each != found[0] for each in found)}


def interval_text(values: Sequence[float], form: str, *, is_share: bool = False) -> str:
    """Returns the mean over runs with its interval (Student's t), as a table shows it.

    Args:
        values: the value of each run. Equal values give no interval, because nothing varied.
        form: the format of each number.
        is_share: whether values are shares, whose interval ends at 0 and 1.
    """
    if not values:
        return "none"
    mean, half = float(np.mean(values)), float(_half_width(np.asarray(values, float)[:, None])[0])
    if len(values) == 1:
        return f"{mean:{form}}"
    if half == 0.0:
        return f"{mean:{form}} in all {len(values)} runs"
    low, high = mean - half, mean + half
    if is_share:
        low, high = max(0.0, low), min(1.0, high)
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"


def mean_curve(group: Group, curve_of: Callable[[RunData], Points]) -> GroupCurve | None:
    """Returns the mean of a curve over the runs of a group, or None where runs have no common positions.

    Runs without the curve are left out. Between its points a curve is straight.
    """
    curves = [(x, y) for x, y in map(curve_of, group.runs) if x.size > 1]
    if not curves:
        return None
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if first >= last:
        return None
    grid = np.linspace(first, last, _GRID)
    values = np.stack([np.interp(grid, x, y) for x, y in curves])
    mean, half = values.mean(axis=0), _half_width(values)
    return GroupCurve(grid, mean, mean - half, mean + half, len(curves))


def _letters(number: int) -> str:
    """Returns A to Z, then A1 to Z1 and so on."""
    turn, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(turn) if turn else "")


def _half_width(values: np.ndarray) -> np.ndarray:
    """Returns half the width of the interval of each column of [R, N]; NaN where R is 1."""
    count = len(values)
    if count == 1:
        return np.full(values.shape[1], np.nan)
    factor = stats.t.ppf(0.5 + LEVEL / 2.0, count - 1) / np.sqrt(count)
    return np.asarray(factor * values.std(axis=0, ddof=1))


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that must agree within a group, by dotted name."""
    every = flatten(present(settings)).items()
    return {name: value for name, value in every if name == _PROMPT or not name.startswith("run.")}
