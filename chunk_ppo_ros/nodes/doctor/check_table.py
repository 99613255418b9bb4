"""The table of all checks, group by group, and what runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from chunk_ppo_ros.core.findings.finding import Finding, error
from chunk_ppo_ros.nodes.doctor.checks import (
    clocks,
    controllers,
    decoding,
    disks,
    drivers,
    gpus,
    grippers,
    images,
    joints,
    limits,
    own_nodes,
    ros_setup,
    weights,
)
from chunk_ppo_ros.nodes.doctor.facts import Facts

Check = Callable[[Facts], Iterable[Finding]]
"""A function that judges facts. It gives a finding for each thing that it looks at, also for what is right."""


@dataclasses.dataclass(frozen=True)
class Group:
    """The checks of one subject."""

    name: str
    checks: tuple[Check, ...]


GROUPS = (
    Group("ROS", ros_setup.CHECKS),
    Group("GPU", gpus.CHECKS),
    Group("disk", disks.CHECKS),
    Group("weights", weights.CHECKS),
    Group("limits", limits.CHECKS),
    Group("joint states", joints.CHECKS),
    Group("grippers", grippers.CHECKS),
    Group("cameras", images.CHECKS),
    Group("clocks", clocks.CHECKS),
    Group("drivers", drivers.CHECKS),
    Group("controllers", controllers.CHECKS),
    Group("nodes", own_nodes.CHECKS),
    Group("image decoding", decoding.CHECKS),
)


def run_checks(facts: Facts, groups: Iterable[Group] = GROUPS) -> dict[str, list[Finding]]:
    """Returns the findings of each group. A check that fails by itself is an error, and the others go on."""
    return {group.name: [finding for check in group.checks for finding in _run(check, facts)] for group in groups}


def _run(check: Check, facts: Facts) -> list[Finding]:
    try:
        return list(check(facts))
    except Exception as failure:  # A check that did not expect what it saw must not hide the other findings.
        name = getattr(check, "__name__", repr(check))
        return [error(name, f"this check itself failed: {failure!r}", "report it, with the output of doctor --json")]
