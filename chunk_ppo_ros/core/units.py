"""Constants of units."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""
