"""The settings that had another name in an earlier version, and how their old values are carried over.

A parameter file, a run's `params.yaml` or a checkpoint of an earlier version may hold an old name. Where its value can
be carried over without a guess, that happens, and a notice says the new name. Otherwise an error says what to write.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from chunk_ppo_ros.config.entries.model_size import NAMES as SIZE_NAMES
from chunk_ppo_ros.core.rounding import MAX_LOGP_GAPS

Carry = Callable[[dict[str, Any], Any, str], None]
"""A function that carries an old value over. It takes the section's settings, which it changes, the old value, and the
dtype of the model's computation."""


@dataclasses.dataclass(frozen=True)
class Renaming:
    """The new place of a renamed setting.

    Attributes:
        setting: the dotted name of the present setting.
        value: what to write as its value, in capitals where the user's own number belongs.
        carry: function that carries an old value over; it raises ValueError where that would be a guess.
    """

    setting: str
    value: str
    carry: Carry

    @property
    def in_a_file(self) -> str:
        """The setting as it is written in a parameter file."""
        return f"{self.setting}: [{self.value}]" if "=" in self.value else f"{self.setting}: {self.value}"

    def as_flag(self, *, dotted: bool) -> str:
        """Returns the setting as it is written on the command line, with or without its section."""
        return f"--{self.setting if dotted else self.setting.split('.')[1]} {self.value}"


def _size_carrier(size_name: str) -> Carry:
    def carry(section: dict[str, Any], value: Any, dtype: str) -> None:
        if value != 0 or isinstance(value, bool):  # 0 stood for the variant's own size.
            section["tower_sizes"] = [*section.get("tower_sizes", ()), f"{size_name}={value}"]

    return carry


def _carry_gap(section: dict[str, Any], value: Any, dtype: str) -> None:
    """Keeps the limit of the dtype in use. An earlier version had one for each dtype.

    A limit that is missing stands for the default. A limit that is the default of today is left out, and any other one
    is kept, also where it was the default of the earlier version.
    """
    limits = {"float32": section.pop("max_logp_gap", MAX_LOGP_GAPS["float32"]), "bfloat16": value}
    if dtype not in limits:
        return  # The check of model.dtype refuses it.
    limit = limits[dtype]
    if limit == 0.0:
        raise ValueError(
            f"ppo.max_logp_gap must be above 0 to be carried over, got 0 for {dtype}, which refused every gap in an "
            "earlier version and stands for the default now; write the limit that you want"
        )
    if limit != MAX_LOGP_GAPS[dtype]:
        section["max_logp_gap"] = limit


def _carry_cube_spread(section: dict[str, Any], value: Any, dtype: str) -> None:
    """Hands the spread on to transfer_cube, the only task that reads it. Its default was and is 1."""
    if value == 1.0:
        return
    if "task" not in section:
        raise ValueError(
            f"env.cube_spread must be written as env.task_settings: [cube_spread={value}] where env.task is not in the "
            f"same file, got {value}; write it so if the task is transfer_cube, or leave it out"
        )
    if section["task"] == "transfer_cube":
        section["task_settings"] = [*section.get("task_settings", ()), f"cube_spread={value}"]


RENAMED: dict[str, Renaming] = {
    "env.cube_spread": Renaming("env.task_settings", "cube_spread=NUMBER", _carry_cube_spread),
    "ppo.max_logp_gap_bfloat16": Renaming("ppo.max_logp_gap", "NUMBER", _carry_gap),
} | {
    f"model.{name.replace('.', '_')}": Renaming("model.tower_sizes", f"{name}=NUMBER", _size_carrier(name))
    for name in SIZE_NAMES
}
"""The renaming of each setting by its old dotted name. A setting that is renamed or removed gets its entry here."""


def present_flag(name: str) -> str | None:
    """Returns how a renamed flag is written now, for example "--task_settings cube_spread=NUMBER".

    Args:
        name: a flag without its dashes, dotted or without its section.

    Returns:
        The text; None where no setting had this name.
    """
    found = [old for old in RENAMED if name in (old, old.split(".", 1)[1])]
    return RENAMED[found[0]].as_flag(dotted="." in name) if found else None


def carry_over(
    sections: Mapping[str, Mapping[str, Any]], *, dtype: str = "float32"
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """Returns settings by section under their present names, and the old dotted names that were among them.

    The limits of the log-prob gap became one when the sizes of the towers did. A lone `ppo.max_logp_gap` beside an old
    name of a size was therefore the limit for float32.

    Args:
        sections: the settings by section.
        dtype: the dtype of the model's computation where the settings do not say it.

    Raises:
        ValueError: where an old value cannot be carried over; the text says what to write.
    """
    old = [f"{name}.{key}" for name, section in sections.items() for key in section if f"{name}.{key}" in RENAMED]
    values = {name: dict(section) for name, section in sections.items()}
    if any(name.startswith("model.") for name in old) and "max_logp_gap" in values.get("ppo", {}):
        values["ppo"].setdefault("max_logp_gap_bfloat16", MAX_LOGP_GAPS["bfloat16"])
    dtype = values.get("model", {}).get("dtype", dtype)
    for name, section in values.items():
        for key in [key for key in section if f"{name}.{key}" in RENAMED]:
            RENAMED[f"{name}.{key}"].carry(section, section.pop(key), dtype)
    return values, tuple(old)


def notice(old: str, *, source: str) -> str:
    """Returns one line that says how a setting is written now whose old name was found.

    Args:
        old: the old dotted name.
        source: the file with the old name, or whatever else the settings come from.
    """
    return f"{source}: {old} is written {RENAMED[old].in_a_file} now; its value is carried over"
