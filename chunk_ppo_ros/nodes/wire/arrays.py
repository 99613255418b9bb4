"""Converts times and arrays to and from the fields of messages, and checks what is received.

Nothing here loops over the elements of an image.
"""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from chunk_ppo_ros.core.units import NANOSECONDS

NumberField: TypeAlias = "array.array[int] | array.array[float]"
"""A field of a message that holds numbers: uint8[], int32[], float32[] or float64[]."""

_TYPE_CODES = {"uint8": "B", "int32": "i", "float32": "f", "float64": "d"}


def time_to_ns(stamp: Time) -> int:
    """Returns a ROS time in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def time_from_ns(nanoseconds: int) -> Time:
    """Returns the message of a ROS time that is given in nanoseconds >= 0."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def header_of(stamp: int, *, frame_id: str = "") -> Header:
    """Returns a header with a stamp, given in nanoseconds, and a frame."""
    return Header(stamp=time_from_ns(stamp), frame_id=frame_id)


def to_array(values: np.ndarray, dtype: str) -> NumberField:
    """Returns a numpy array as a flat `array.array`, which message fields take without copying each element."""
    flat = array.array(_TYPE_CODES[dtype])
    flat.frombytes(np.ascontiguousarray(values, dtype=dtype).reshape(-1).view(np.uint8).data)
    return flat


def to_bools(values: np.ndarray) -> list[bool]:
    """Returns a short mask as the list that bool[] fields take."""
    return [bool(value) for value in values]


def from_array(values: NumberField | np.ndarray, dtype: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Returns a flat message field as a new, writable array.

    Args:
        values: the field.
        dtype: the dtype of the array.
        shape: the shape of the array.
        name: the name of the field, for errors.

    Raises:
        ValueError: when the length does not fit the shape, or a float is not finite.
    """
    flat = np.frombuffer(values, dtype=dtype) if len(values) else np.empty(0, dtype)
    if flat.size != math.prod(shape):
        raise ValueError(f"{name} must have {math.prod(shape)} elements for the shape {shape}, got {flat.size}")
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(flat)).sum())} NaN or infinite elements")
    return flat.reshape(shape).copy()


def from_bools(values: Sequence[bool], length: int, name: str) -> np.ndarray:
    """Returns a bool[] field as an array.

    Raises:
        ValueError: when the field does not have the given length.
    """
    if len(values) != length:
        raise ValueError(f"{name} must have {length} elements, got {len(values)}")
    return np.array(values, dtype=bool)


def to_float32(value: float) -> float:
    """Returns a number as the receiver of a float32 field will read it."""
    return float(np.float32(value))


def finite(value: float, name: str) -> float:
    """Returns a number that was received.

    Raises:
        ValueError: when it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


def to_optional(value: float | None) -> float:
    """Returns a number for a field of a message, with NaN for an unknown one."""
    return math.nan if value is None else to_float32(value)


def from_optional(value: float, name: str) -> float | None:
    """Returns a number that was received, or None for the NaN that stands for an unknown one.

    Raises:
        ValueError: when it is infinite.
    """
    return None if math.isnan(value) else finite(value, name)


def unit_interval(value: float, name: str) -> float:
    """Returns a number that was received.

    Raises:
        ValueError: when it is not within 0..1.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be within 0..1, got {value}")
    return float(value)
