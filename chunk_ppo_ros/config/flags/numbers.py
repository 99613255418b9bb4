"""Reads the numbers of flags, and says of a wrong one what it must be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole_number(text: str) -> int:
    """Returns a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def number(text: str) -> float:
    """Returns a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def whole_number_from(least: int) -> Callable[[str], int]:
    """Returns a function that reads a whole number and refuses one below `least`."""

    def read(text: str) -> int:
        value = whole_number(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return read


def number_from(least: float) -> Callable[[str], float]:
    """Returns a function that reads a finite number and refuses one below `least`."""

    def read(text: str) -> float:
        value = number(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"must be a finite number of at least {least:g}, got {text}")
        return value

    return read


def positive_number(text: str) -> float:
    """Returns a finite number above 0."""
    value = number(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, got {text}")
    return value
