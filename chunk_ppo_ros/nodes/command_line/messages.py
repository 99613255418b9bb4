"""Turns messages into text, and text into messages, by the fields that every message type names itself."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from chunk_ppo_ros.core.errors import UserError

_ELEMENT = re.compile(r"sequence<(?P<kind>[^,]*)(, (?P<most>\d+))?>|(?P<sized>[^<]*)\[(?P<size>\d+)\]")
_INTEGER = re.compile(r"(?P<unsigned>u?)int(?P<bits>8|16|32|64)")
_PLAIN: Mapping[str, type] = {"float": float, "double": float, "string": str, "wstring": str, "boolean": bool}
"""The Python types of the types of fields; all others are integers."""
SHOWN = 16
"""The number of elements of an array that are shown."""


def load_type(name: str, *, kind: str = "msg") -> Any:
    """Returns the class of a message or service type, such as std_msgs/msg/Float32 or std_srvs/srv/Trigger.

    Args:
        name: the type as ROS writes it.
        kind: msg for a message type, srv for a service type.

    Raises:
        UserError: for a name of another form, or a type whose package is not installed here.
    """
    parts = name.split("/")
    if len(parts) != 3 or not parts[0].isidentifier() or parts[1] != kind:
        example = {"msg": "std_msgs/msg/Float32", "srv": "std_srvs/srv/Trigger"}[kind]
        raise UserError(
            f"a {'message' if kind == 'msg' else 'service'} type must be written like {example}, got {name!r}"
        )
    try:
        return getattr(importlib.import_module(f"{parts[0]}.{parts[1]}"), parts[2])
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"the type {name} must be installed here, got {error}; source the workspace that has it"
        ) from error


def as_plain(value: Any, *, shown: int | None = SHOWN) -> Any:
    """Returns a message as dictionaries, lists, numbers and texts.

    Args:
        value: a message, or a value of one of its fields.
        shown: the number of elements of an array that are kept, or None for all. A text says how many there are.
    """
    if _has_fields(value):
        return {name: as_plain(getattr(value, name), shown=shown) for name in value.get_fields_and_field_types()}
    if isinstance(value, np.generic):  # an element of an array of a fixed size
        return value.item()
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, bytes) and len(value) == 1:
        return value[0]
    listed = list(value)
    if shown is None or len(listed) <= shown:
        return [as_plain(each, shown=shown) for each in listed]
    return [*(as_plain(each, shown=shown) for each in listed[:shown]), f"... {len(listed)} elements"]


def as_yaml(value: Any) -> str:
    """Returns plain data as YAML, with lists of numbers in one line."""
    if not isinstance(value, (dict, list)):
        return str(value)
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=116, allow_unicode=True)).rstrip()


def field_of(message: Any, path: str) -> Any:
    """Returns a field of a message by its path, such as "header.stamp" or "metrics.0.value".

    Raises:
        UserError: for a field that the message does not have. The text lists the fields that there are.
    """
    value = message
    for part in path.split("."):
        if _has_fields(value) and part in value.get_fields_and_field_types():
            value = getattr(value, part)
        elif _is_array(value) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise UserError(
                f"--field must name a field of the message, got {path!r}: instead of {part!r} there are {_parts(value)}"
            )
    return value


def _parts(value: Any) -> str:
    """Returns what a value of a message consists of."""
    if _has_fields(value):
        return ", ".join(value.get_fields_and_field_types()) or "no fields"
    if _is_array(value) and len(value):
        return f"elements 0 to {len(value) - 1}"
    return "no elements" if _is_array(value) else "no fields"


def _has_fields(value: Any) -> bool:
    return hasattr(value, "get_fields_and_field_types")


def _is_array(value: Any) -> bool:
    """Returns whether a value is an array. An array of a fixed size is one of numpy."""
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


def fill(message: Any, text: str) -> Any:
    """Returns the message, filled from YAML such as "{data: 1.0}". Fields that are not named keep their defaults.

    Raises:
        UserError: for text that is no YAML mapping, a field that there is not, or a value of another type.
    """
    try:
        values = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise UserError(f"the fields must be YAML, such as '{{data: 1.0}}', got {text!r}: {error}") from error
    _set(message, values, "")
    return message


def _set(message: Any, values: Any, where: str) -> None:
    if not isinstance(values, Mapping):
        raise UserError(
            f"{where or 'the message'} must have its fields as YAML, such as '{{data: 1.0}}', got {values!r}"
        )
    types = message.get_fields_and_field_types()
    for name, value in values.items():
        path = f"{where}.{name}" if where else str(name)
        if name not in types:
            raise UserError(f"{path} must be one of the fields {', '.join(types) or '(there are none)'}")
        held = getattr(message, name)
        if _has_fields(held):
            _set(held, value, path)
            continue
        try:
            setattr(message, name, _made(types[name], value, path))
        except (AssertionError, TypeError, ValueError) as error:
            raise UserError(f"{path} must be of type {types[name]}, got {value!r}") from error


def _made(kind: str, value: Any, path: str) -> Any:
    """Returns the value of a field from YAML. Elements of arrays are made first.

    The generated classes do not check their fields, so that a number out of its range would come as another one, and
    an array that is too short would be filled with whatever is in memory.

    Raises:
        TypeError: for a value of another type.
        ValueError: for a number beyond the range of its type, or an array of another length.
    """
    element = _ELEMENT.fullmatch(kind)
    if element is not None:
        _check_length(element, value)
        return [_made(element["kind"] or element["sized"], each, f"{path}.{n}") for n, each in enumerate(value)]
    if "/" in kind:
        package, name = kind.split("/")
        made = load_type(f"{package}/msg/{name}")()
        _set(made, value, path)
        return made
    plain = _PLAIN.get(kind.partition("<")[0], int)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if plain is int and isinstance(value, int) and not isinstance(value, bool):
        return _integer(kind, value)
    if plain is int or not isinstance(value, plain):
        raise TypeError(f"{value!r} is no {plain.__name__}")
    return value


def _check_length(element: re.Match[str], value: Any) -> None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is no list")
    if element["size"] and len(value) != int(element["size"]):
        raise ValueError(f"{len(value)} elements are not {element['size']}")
    if element["most"] and len(value) > int(element["most"]):
        raise ValueError(f"{len(value)} elements are more than {element['most']}")


def _integer(kind: str, value: int) -> int | bytes:
    """Returns an integer as the classes of messages have it, which is one byte for an octet."""
    form = _INTEGER.fullmatch(kind)
    bits = int(form["bits"]) if form else 8
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if form and not form["unsigned"] else (0, 2**bits - 1)
    if not low <= value <= high:
        raise ValueError(f"{value} is not within {low}..{high}")
    return bytes([value]) if kind == "octet" else value
