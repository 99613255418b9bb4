"""The settings that had another name in an earlier version, and how their old values are carried over.

A parameter file, a run's `params.yaml` or a checkpoint of an earlier version may hold an old name. Where its value can
be carried over without a guess, that happens, and a notice says the new name. Otherwise an error says what to write.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chunk_ppo_ros.config.model_size import NAMES as SIZE_NAMES

Carry = Callable[[dict[str, Any], Any], None]
"""A function that carries an old value over. It takes the section's settings, which it changes, and the old value."""


@dataclasses.dataclass(frozen=True)
class Renaming:
    """The new place of a renamed setting.

    Attributes:
        advice: text that says what to write now; it ends the sentence "model.siglip_width is now ...".
        carry: function that carries an old value over; it raises ValueError where that would be a guess.
    """

    advice: str
    carry: Carry


def _size_carrier(size_name: str) -> Carry:
    def carry(section: dict[str, Any], value: Any) -> None:
        if value != 0 or isinstance(value, bool):  # 0 stood for the variant's own size.
            section["tower_sizes"] = [*section.get("tower_sizes", ()), f"{size_name}={value}"]

    return carry


_OLD_GAPS = {"max_logp_gap": 1e-3, "max_logp_gap_bfloat16": 0.9}


def _carry_gap(section: dict[str, Any], value: Any) -> None:
    """Drops both limits of an old file where they are the old defaults, and refuses others.

    An old file does not say which of two other limits was in use, for that depends on the dtype.
    """
    old = {"max_logp_gap": section.get("max_logp_gap", _OLD_GAPS["max_logp_gap"]), "max_logp_gap_bfloat16": value}
    if old != _OLD_GAPS:
        raise ValueError(
            "ppo.max_logp_gap must be given without ppo.max_logp_gap_bfloat16, because it is now the limit of the "
            f"dtype in use, got {old['max_logp_gap']} and {value}; keep ppo.max_logp_gap with the limit for your "
            "model.dtype, or leave out both"
        )
    section.pop("max_logp_gap", None)


def _carry_cube_spread(section: dict[str, Any], value: Any) -> None:
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
    "env.cube_spread": Renaming("env.task_settings, as in cube_spread=NUMBER", _carry_cube_spread),
    "ppo.max_logp_gap_bfloat16": Renaming("ppo.max_logp_gap, whose default follows model.dtype", _carry_gap),
} | {
    f"model.{name.replace('.', '_')}": Renaming(f"model.tower_sizes, as in {name}=NUMBER", _size_carrier(name))
    for name in SIZE_NAMES
}
"""The renaming of each setting by its old dotted name. A setting that is renamed or removed gets its entry here."""


def advice(name: str) -> str | None:
    """Returns a sentence that says the new name of a setting; None where no setting had the old name.

    Args:
        name: an old name, dotted or without its section.
    """
    found = [old for old in RENAMED if name in (old, old.split(".", 1)[1])]
    return f"{found[0]} is now {RENAMED[found[0]].advice}" if found else None


def carry_over(section: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], Sequence[str]]:
    """Returns the settings of a section under their present names, and the old dotted names that were among them.

    Raises:
        ValueError: where an old value cannot be carried over; the text says what to write.
    """
    old = [name for name in settings if f"{section}.{name}" in RENAMED]
    present = {name: value for name, value in settings.items() if name not in old}
    for name in old:
        RENAMED[f"{section}.{name}"].carry(present, settings[name])
    return present, [f"{section}.{name}" for name in old]


def notice(old: Sequence[str]) -> str:
    """Returns a notice about old names whose values were carried over. It says each new name once."""
    advised = list(dict.fromkeys(RENAMED[name].advice.split(",")[0] for name in old))
    return (
        f"{', '.join(old)} {'has' if len(old) == 1 else 'have'} another name now: {', '.join(advised)}. The value is "
        "carried over; write the new name"
    )
