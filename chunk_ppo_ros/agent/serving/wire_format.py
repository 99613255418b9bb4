"""Packs and unpacks the messages of openpi's websocket protocol: msgpack, with numpy arrays as maps with bytes as keys.

An array is a map with `__ndarray__`, `data`, `dtype` and `shape`, a numpy scalar one with `__npgeneric__`, `data` and
`dtype`. The reader here takes numbers and bools alone, and checks sizes, because the bytes come from another program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgpack
import numpy as np

ARRAY, SCALAR = b"__ndarray__", b"__npgeneric__"
_DATA, _DTYPE, _SHAPE = b"data", b"dtype", b"shape"
_KINDS = "biuf"
"""The kinds of dtypes that are read: bool, int, unsigned int and float."""
_MAX_DIMENSIONS = 8
"""The largest number of dimensions of an array. The product of a million sizes would take hours."""


class MessageError(ValueError):
    """A message of a client is not what the protocol wants. The text is for the user of the client."""


def pack(message: Mapping[str, object]) -> bytes:
    """Returns a message as bytes.

    Args:
        message: what is sent: numbers, texts, lists, maps, and numpy arrays of numbers.
    """
    return bytes(msgpack.packb(message, default=_encode))


def unpack(data: bytes) -> object:
    """Returns the message that bytes stand for. Its arrays are views of the bytes, and cannot be written.

    Raises:
        MessageError: where the bytes are no message of the protocol.
    """
    try:
        message: object = msgpack.unpackb(data, object_hook=_decode)
    except MessageError:
        raise
    except Exception as error:  # msgpack raises errors of many kinds for bytes that are not its own
        raise MessageError(
            f"a message must be packed by msgpack, as openpi's client does it, got {len(data)} bytes that are not: "
            f"{type(error).__name__} {error}"
        ) from error
    return message


def _encode(value: object) -> object:
    if isinstance(value, np.ndarray):
        return {ARRAY: True, _DATA: value.tobytes(), _DTYPE: value.dtype.str, _SHAPE: value.shape}
    if isinstance(value, np.generic):
        return {SCALAR: True, _DATA: value.item(), _DTYPE: value.dtype.str}
    raise TypeError(f"a message must hold numbers, texts, lists, maps and arrays, got {type(value).__name__}")


def _decode(value: dict[object, object]) -> object:
    if ARRAY in value:
        return _to_array(value.get(_DATA), _to_dtype(value), value.get(_SHAPE))
    if SCALAR in value:
        scalar = value.get(_DATA)
        if not isinstance(scalar, bool | int | float):
            raise MessageError(f"a numpy scalar must be a number, got {type(scalar).__name__}")
        return _to_dtype(value).type(scalar)
    return value


def _to_dtype(value: Mapping[object, object]) -> np.dtype:
    name = value.get(_DTYPE)
    try:
        dtype = np.dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype.kind not in _KINDS:
        raise MessageError(f"arrays must be of bools, ints or floats, got the dtype {name!r:.40}")
    return dtype


def _to_array(data: object, dtype: np.dtype, shape: object) -> np.ndarray:
    dimensions = shape if isinstance(shape, list | tuple) and len(shape) <= _MAX_DIMENSIONS else None
    sizes = [size for size in dimensions or () if isinstance(size, int) and size >= 0]
    if dimensions is None or len(sizes) != len(dimensions) or not isinstance(data, bytes):
        raise MessageError(f"an array must have bytes and a shape, got {type(data).__name__} and {shape!r:.40}")
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise MessageError(
            f"an array of shape {sizes} and dtype {dtype} must have {math.prod(sizes) * dtype.itemsize} bytes, got "
            f"{len(data)}"
        )
    return np.frombuffer(data, dtype).reshape(sizes)
