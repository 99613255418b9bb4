"""Declares and checks settings, and converts a configuration to plain dicts and back, with the standard library only.

`setting` declares a field with its description and range. The command line, the ROS parameters, the YAML files under
`config/` and the metadata of checkpoints are all made from these dataclasses. Unknown keys, wrong types and values out
of range are errors that name the key.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from chunk_ppo_ros.config.renamed import RENAMED
from chunk_ppo_ros.core.suggestions import nearest
from chunk_ppo_ros.core.wording.unicode import first_surrogate

ConfigT = TypeVar("ConfigT")


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    graph_only: bool = False,
    adjustable: bool = False,
) -> Any:
    """Returns a dataclass field with a description and, where given, an inclusive range or the allowed values.

    `graph_only` says that only the nodes of the graph read the field, so that the script form has no use for it.
    `adjustable` says that the node that reads it takes other values while it runs.
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "graph_only": graph_only}
    metadata["adjustable"] = adjustable
    return dataclasses.field(default=default, metadata=metadata)


def choices(cls: type, name: str) -> tuple[str, ...]:
    """Returns the allowed values of a field of a section; empty where all values of its type are allowed."""
    metadata = {field.name: field.metadata for field in dataclasses.fields(cls)}
    return tuple(metadata[name]["choices"] or ())


@functools.cache
def _type_hints(cls: type) -> dict[str, Any]:
    """Returns the type of each field. Python evaluates the annotations anew at each call, which takes a millisecond."""
    return typing.get_type_hints(cls)


def _check_field(cls: type, field: dataclasses.Field[Any], value: Any) -> None:
    hint = _type_hints(cls)[field.name]
    expected = typing.get_origin(hint) or hint
    if isinstance(expected, types.UnionType) or not isinstance(expected, type):
        raise TypeError(f"{cls.__name__}.{field.name} has an unsupported type {hint}")
    wrong_bool = isinstance(value, bool) and expected is not bool
    if wrong_bool or not isinstance(value, (int, float) if expected is float else expected):
        raise ValueError(f"{field.name} must be of type {expected.__name__}, got {value!r}")
    if not _is_unicode(value):
        raise ValueError(f"{field.name} must be text in UTF-8, got {value!r}; write it with other characters")
    metadata = field.metadata
    if metadata.get("choices") and value not in metadata["choices"]:
        raise ValueError(f"{field.name} must be one of {', '.join(metadata['choices'])}, got {value!r}")
    if fault := range_fault(field, value):
        raise ValueError(f"{field.name} {fault}")


def _is_unicode(value: Any) -> bool:
    """Returns whether UTF-8 can hold the texts of a value."""
    texts = value if isinstance(value, tuple) else (value,)
    return all(first_surrogate(text) is None for text in texts if isinstance(text, str))


def range_fault(field: dataclasses.Field[Any], value: Any) -> str:
    """Returns what a number must be, such as "must be at least 1, got 0"; empty where it is in the range of a field."""
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    if (low is None or value >= low) and (high is None or value <= high):
        return ""
    bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"within {low}..{high}"
    return f"must be {bounds}, got {value!r}"


class Checked:
    """The base class of the sections. It checks types, ranges and choices of all fields when one is constructed."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            _check_field(type(self), field, getattr(self, field.name))


def to_dict(config: Any) -> dict[str, Any]:
    """Returns the configuration as nested plain dicts, tuples as lists. `from_dict` inverts it."""
    return {
        field.name: to_dict(value)
        if dataclasses.is_dataclass(value)
        else list(value)
        if isinstance(value, tuple)
        else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def from_dict(cls: type[ConfigT], values: Mapping[str, Any], *, base: ConfigT | None = None, path: str = "") -> ConfigT:
    """Builds a configuration from nested mappings.

    Args:
        cls: a configuration dataclass.
        values: its fields; missing ones keep the value of `base`, or the default.
        base: configuration that missing fields are taken from.
        path: prefix of keys in error texts.

    Raises:
        ValueError: for an unknown key (with the nearest known ones, or its new name), a wrong type or a value out of
            range. `carry_over` gives old keys their new names before.
    """
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if f"{path}{key}" in RENAMED:
            raise ValueError(f"unknown configuration key '{path}{key}'; write {RENAMED[f'{path}{key}'].in_a_file}")
        if key not in known:
            near = nearest(key, known, most=3) or known
            raise ValueError(f"unknown configuration key '{path}{key}'; did you mean one of {', '.join(near)}?")
    built: dict[str, Any] = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise ValueError(f"{path}{name} must be a section of settings, got {value!r}")
            inner = getattr(base, name) if base is not None else None
            built[name] = from_dict(hints[name], value, base=inner, path=f"{path}{name}.")
        else:
            built[name] = _coerce(hints[name], value)
    return dataclasses.replace(base, **built) if base is not None else cls(**built)  # type: ignore[type-var]


def _coerce(hint: Any, value: Any) -> Any:
    """Returns a list as a tuple and a whole number as a float where the field has that type, and other values as is."""
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def shown(value: Any) -> str:
    """Returns the value of a setting as help texts and pages show it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
