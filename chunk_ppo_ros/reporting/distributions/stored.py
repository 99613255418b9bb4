"""Reads the histograms of a few updates from `histograms.jsonl`. It holds one line at a time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.reporting.metrics_file import HISTOGRAMS_NAME

MAX_UPDATES = 6
"""The largest number of updates whose histograms are shown: evenly spaced, with the first and the newest."""


@dataclasses.dataclass(frozen=True)
class UpdateHistograms:
    """The histograms of one update.

    Attributes:
        policy_version: the version that the update made.
        num_chunks: chunks that the run had trained on then.
        histograms: the histograms by their logged names.
    """

    policy_version: int
    num_chunks: int
    histograms: Mapping[str, Histogram]


def read_histograms(run_dir: Path, run_id: str) -> list[UpdateHistograms]:
    """Returns the histograms of some updates of a run, in order; none where the run has stored none.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when a finished line is damaged.
    """
    path = run_dir / HISTOGRAMS_NAME
    if not path.is_file():
        return []
    places = _places(path, run_id)
    versions = sorted(places)
    chosen = sorted({round(place) for place in np.linspace(0, len(versions) - 1, min(len(versions), MAX_UPDATES))})
    with path.open("rb") as file:
        found = []
        for version in (versions[place] for place in chosen):
            file.seek(places[version])
            found.append(_histograms(_parsed(file.readline(), path), path))
    return found


def _places(path: Path, run_id: str) -> dict[int, int]:
    """Returns where the line of each version begins, bytes. Of a version that was made again the last one counts."""
    places, begin = {}, 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):  # It is being written, or a crash left it unfinished.
                break
            record = _parsed(line, path)
            if record["run_id"] == run_id:
                places[int(record["policy_version"])] = begin
            begin += len(line)
    return places


def _parsed(line: bytes, path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
        record["run_id"], int(record["policy_version"]), int(record["num_chunks"]), record["histograms"].items()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} must have lines of this package, got {line[:60]!r}: {error}; move it away") from error
    return record


def _histograms(record: Mapping[str, Any], path: Path) -> UpdateHistograms:
    try:
        found = {str(name): Histogram.from_json(fields) for name, fields in record["histograms"].items()}
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}; move it away") from error
    return UpdateHistograms(int(record["policy_version"]), int(record["num_chunks"]), found)
