"""Writes times as people say them."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Returns a time in the two units that matter, such as "2 h 05 min" or "48 s"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
