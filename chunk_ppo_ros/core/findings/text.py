"""Writes findings as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.core.findings.finding import Finding, Level

FORMAT = 1
"""The version of the JSON object. It counts up when the meaning of a key changes."""

_WIDTH = 118
_LEVEL_WIDTH = max(len(level.value) for level in Level)


def counts(findings: Mapping[str, Sequence[Finding]]) -> dict[str, int]:
    """Returns the number of findings of each level."""
    levels = [finding.level for group in findings.values() for finding in group]
    return {level.value: levels.count(level) for level in Level}


def has_errors(findings: Mapping[str, Sequence[Finding]]) -> bool:
    """Returns whether something is an error."""
    return counts(findings)[Level.ERROR.value] > 0


def as_table(findings: Mapping[str, Sequence[Finding]]) -> str:
    """Returns the table: a heading for each group, a line for each finding, and below it what to do."""
    lines: list[str] = []
    for group, found in findings.items():
        lines += ["", group, *(line for finding in found for line in _lines(finding))]
    summary = ", ".join(f"{number} {level}" for level, number in counts(findings).items())
    return "\n".join([*lines[1:], "", summary])


def as_json(findings: Mapping[str, Sequence[Finding]]) -> str:
    """Returns a JSON object with `format`, `counts` by level, and `findings`.

    Each finding has `group`, `name`, `level` (OK, WARN, ERROR or SKIPPED), `found`, and `advice`, which may be empty.
    """
    listed = [
        {
            "group": group,
            "name": finding.name,
            "level": finding.level.value,
            "found": finding.found,
            "advice": finding.advice,
        }
        for group, found in findings.items()
        for finding in found
    ]
    return json.dumps({"format": FORMAT, "counts": counts(findings), "findings": listed}, indent=2)


def _lines(finding: Finding) -> list[str]:
    text = f"{finding.name}: {finding.found}"
    lead = f"  {finding.level.value:<{_LEVEL_WIDTH}}  "
    indent = " " * (len(lead) + 2)
    lines = textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=indent)
    if finding.advice:
        lines += textwrap.wrap(f"-> {finding.advice}", _WIDTH, initial_indent=indent, subsequent_indent=indent + "   ")
    return lines
