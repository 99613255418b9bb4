"""Lists all settings with their defaults and ranges, as text. `python test/support/settings_table.py` writes it anew.

A changed default or range changes the runs of users who do not name the setting. CHANGELOG.rst must then say so.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from chunk_ppo_ros.config import TrainConfig

TABLE = pathlib.Path(__file__).resolve().parents[1] / "data" / "settings.txt"


def settings_table() -> str:
    """Returns a line for each setting: its name, its default, and its range or its allowed values."""
    lines = []
    for section_field in dataclasses.fields(TrainConfig):
        section = getattr(TrainConfig(), section_field.name)
        for field in dataclasses.fields(section):
            lines.append(f"{section_field.name}.{field.name} = {getattr(section, field.name)!r}{_range(field)}")
    return "\n".join(lines) + "\n"


def _range(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata[name] for name in ("minimum", "maximum", "choices"))
    if choices:
        return f", one of {', '.join(choices)}"
    if low is None and high is None:
        return ""
    return f", within {'' if low is None else low}..{'' if high is None else high}"


if __name__ == "__main__":
    TABLE.write_text(settings_table(), encoding="utf-8")
