"""Writes the report of the start of a day: a page with pictures, and the same as JSON."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.findings.finding import Finding, Level
from chunk_ppo_ros.core.findings.text import as_json, counts

PAGE, DATA = "report.md", "report.json"


def folder_of(run: Path, now: datetime.datetime) -> Path:
    """Returns the folder of a report in the folder of a run, such as start_of_day_2026-11-27_0830."""
    return run / f"start_of_day_{now:%Y-%m-%d_%H%M}"


def write_report(
    folder: Path,
    findings: Mapping[str, Sequence[Finding]],
    pictures: Mapping[str, np.ndarray],
    *,
    now: datetime.datetime,
) -> Path:
    """Writes the page, the JSON and the pictures, and returns the path of the page.

    Args:
        folder: the folder, which is made where it is missing.
        findings: what was found, by group.
        pictures: the picture of each camera, uint8 [h, w, 3].
        now: the local time of the check.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for camera, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{camera}.png")
    (folder / DATA).write_text(as_json(findings) + "\n", encoding="utf-8")
    page = folder / PAGE
    page.write_text(page_text(findings, list(pictures), now=now), encoding="utf-8")
    return page


def page_text(findings: Mapping[str, Sequence[Finding]], cameras: Sequence[str], *, now: datetime.datetime) -> str:
    """Returns the page in Markdown."""
    numbers = ", ".join(f"{number} {level}" for level, number in counts(findings).items() if number)
    lines = [f"# Start of day, {now:%Y-%m-%d %H:%M}", "", numbers or "Nothing was looked at.", ""]
    for group, found in findings.items():
        if found:
            lines += [f"## {group.capitalize()}", "", "| result | what | found | what to do |", "|---|---|---|---|"]
            lines += [_row(finding) for finding in found]
            lines.append("")
    if cameras:
        lines += ["## Pictures", ""]
    for camera in cameras:
        lines += [f"{camera}:", "", f"![{camera}]({camera}.png)", ""]
    return "\n".join(lines)


def _row(finding: Finding) -> str:
    level = finding.level.value if finding.level is Level.OK else f"**{finding.level.value}**"
    cells = (level, finding.name, finding.found, finding.advice)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
