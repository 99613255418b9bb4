"""Reads openpi's `norm_stats.json` and checks every number in it, with the name of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float64

FILE = "norm_stats.json"
"""The name of the file of statistics in a folder."""

PARTS = ("state", "actions")
STATISTICS = ("mean", "std", "q01", "q99")

_COMPUTE = "compute them from episodes by norm-stats"


def read_norm_stats(file: Path) -> dict[str, Float64[np.ndarray, "4 D"]]:
    """Returns the rows mean, std, q01 and q99 of the state and of the actions.

    Dimensions that are 0 in all of them stay, because a joint that never moves may have such statistics.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is no JSON, statistics are missing or of different lengths, a number is none or not finite,
            a deviation is below 0, or a q01 is above its q99. The text names the field.
    """
    parts = _parts(file)
    return {part: _checked(part, parts[part]) for part in PARTS}


def _parts(file: Path) -> dict[str, dict[str, list[object]]]:
    """Returns the lists of the file by part and statistic."""
    try:
        content = json.loads(file.read_text())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    parts = content.get("norm_stats") if isinstance(content, dict) else None
    if not isinstance(parts, dict) or not all(isinstance(parts.get(part, {}), dict) for part in PARTS):
        raise ValueError(f'it must hold {{"norm_stats": {{"state": {{..}}, "actions": {{..}}}}}}; {_COMPUTE}')
    missing = [f"{part}.{name}" for part in PARTS for name in STATISTICS if parts.get(part, {}).get(name) is None]
    if missing:
        raise ValueError(
            f"norm_stats must have state and actions with {', '.join(STATISTICS)}, got {file} without {missing}; "
            f"statistics without quantiles are of pi0: {_COMPUTE}"
        )
    return parts


def _checked(part: str, lists: dict[str, list[object]]) -> Float64[np.ndarray, "4 D"]:
    for name in STATISTICS:
        if not isinstance(lists[name], list) or not lists[name]:
            raise ValueError(f"{part}.{name} must be a list of numbers, got {lists[name]!r}")
        for index, value in enumerate(lists[name]):
            _check_number(f"{part}.{name}[{index}]", value)
    lengths = {name: len(lists[name]) for name in STATISTICS}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the statistics of {part} must have one length, got {lengths}; {_COMPUTE}")
    rows = np.array([lists[name] for name in STATISTICS], np.float64)
    _check_order(part, *rows)
    return rows


def _check_number(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{field} must be a number, got {value!r}; {_COMPUTE}")
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise ValueError(f"{field} of norm_stats must be finite, got NaN or infinity ({value}); {_COMPUTE}")


def _check_order(part: str, mean: np.ndarray, std: np.ndarray, q01: np.ndarray, q99: np.ndarray) -> None:
    for index in np.flatnonzero(std < 0)[:1]:
        raise ValueError(f"{part}.std[{index}] must be at least 0, got {std[index]}; {_COMPUTE}")
    for index in np.flatnonzero(q01 > q99)[:1]:
        raise ValueError(
            f"{part}.q01[{index}] must be at most {part}.q99[{index}] ({q99[index]}), got {q01[index]}; a swapped pair "
            f"would turn the dimension around: {_COMPUTE}"
        )
