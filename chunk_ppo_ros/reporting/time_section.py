"""Makes the table of a run's page that says where the time went."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_file import Record
from chunk_ppo_ros.reporting.run_metrics import WALL

_PHASES = {
    "run_time/running": "an episode ran",
    "run_time/resetting": "robot and scene were reset",
    "run_time/ready": "a ready episode waited for its start",
    "run_time/paused": "an episode was paused",
    "run_time/waiting_for_trainer": "an episode waited for the trainer",
}
"""The times that do not overlap, and what each of them is called on the page."""


OVERLAP_NOTE = "The motion of the robot and the updates overlap with the rows above them."


@dataclasses.dataclass(frozen=True)
class TimeRow:
    """A row of the table of times.

    Attributes:
        text: what the time was spent on.
        minutes: the time, min.
        share: its share of the wall time; empty where the time is simulated.
        overlaps: whether it is a part of the times in other rows.
    """

    text: str
    minutes: str
    share: str
    overlaps: bool = False


def time_section(newest: Record | None, updates: Updates, *, in_lockstep: bool) -> str:
    """Returns the table of `time_rows` as a section of a Markdown file; empty where there are no rows."""
    rows = time_rows(newest, updates, in_lockstep=in_lockstep)
    if not rows:
        return ""
    lines = [f"| {row.text} | {row.minutes} | {f'{row.share} |' if row.share else '|'}" for row in rows]
    note = f"\n\n{OVERLAP_NOTE}" if any(row.overlaps for row in rows) else ""
    return "## Where the time went\n\n| | minutes | share |\n|---|---|---|\n" + "\n".join(lines) + note


def time_rows(newest: Record | None, updates: Updates, *, in_lockstep: bool) -> list[TimeRow]:
    """Returns times with their shares; none where no record has the wall time of the run.

    Args:
        newest: the newest record that has the wall time of the run, or None.
        updates: the updates of the run.
        in_lockstep: whether a simulator's time stood still between control steps. Motions are of simulated time then.
    """
    if newest is None:
        return []
    wall, phases = newest[WALL], {name: newest[name] for name in _PHASES if newest.get(name) is not None}
    rows = [("the whole run", wall), *((_PHASES[name], seconds) for name, seconds in phases.items())]
    if phases:
        rows.append(("the rest: starts of nodes, and between episodes", max(0.0, wall - sum(phases.values()))))
    overlapping = [] if in_lockstep else [("the robot was in motion", newest.get("run_time/motion"))]
    overlapping += [("rollouts", None if phases else updates.totals.get("time/rollout"))]
    overlapping += [("updates", updates.totals.get("time/update"))]
    found = [TimeRow(text, _minutes(seconds), _share(seconds, wall)) for text, seconds in rows]
    found += [
        TimeRow(text, _minutes(seconds), _share(seconds, wall), overlaps=bool(phases))
        for text, seconds in overlapping
        if seconds is not None
    ]
    if in_lockstep and newest.get("run_time/motion") is not None:
        found.append(TimeRow("the robot was in motion, in simulated time", _minutes(newest["run_time/motion"]), ""))
    return found


def _minutes(seconds: float) -> str:
    return f"{seconds / 60.0:.1f}"


def _share(seconds: float, wall: float) -> str:
    return f"{seconds / wall:.1%}" if wall else ""
