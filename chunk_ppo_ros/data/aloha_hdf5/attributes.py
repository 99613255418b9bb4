"""Reads the attributes of a file."""

from __future__ import annotations

import math
from collections.abc import Collection

import h5py
import numpy as np

PLAIN = (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
"""The classes of types that an attribute may have."""


def attribute(file: h5py.Group | h5py.Dataset, name: str) -> object:
    """Returns an attribute of a file or a part of it, or None where there is none that is text or numbers.

    The HDF5 library ends the process where it reads a damaged attribute of another type.
    """
    if name not in file.attrs:
        return None
    kind = file.attrs.get_id(name).get_type().get_class()
    return file.attrs[name] if kind in PLAIN else None


def number(value: object) -> float | None:
    """Returns an attribute as a number, or None where it is none."""
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def unused_attributes(file: h5py.File, used: Collection[str]) -> tuple[str, ...]:
    """Returns the name and the value of each attribute of a file that is not used, by names in small letters."""
    rest = [name for name in file.attrs if name.lower() not in used]
    return tuple(f"attribute {name}, {_shown(attribute(file, name))}" for name in rest)


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) < 60 else f"{text[:56]} ..."
