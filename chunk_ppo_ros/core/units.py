"""Constants of units, and the way to write a probability."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""

MEBIBYTE = 2**20
"""Bytes in a MiB."""

GIBIBYTE = 2**30
"""Bytes in a GiB."""

SMALLEST_PROBABILITY = 1e-300
"""The probability below which only the bound is written. Python's numbers end near it."""


def probability_text(probability: float) -> str:
    """Returns a probability with its sign: "= 0.0123", "= 1.85e-34", or "< 1e-300" where it is smaller."""
    if probability < SMALLEST_PROBABILITY:
        return f"< {SMALLEST_PROBABILITY:g}"
    return f"= {probability:.3g}"
