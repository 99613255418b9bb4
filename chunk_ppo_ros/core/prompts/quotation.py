"""Quotes prompts in error texts, so that an error stays one readable line."""

from __future__ import annotations

_LONGEST, _BEGINNING = 80, 60


def quoted(prompt: str) -> str:
    """Returns a prompt in quotation marks. Of a long one it returns the beginning, and how long the whole is."""
    if len(prompt) <= _LONGEST:
        return repr(prompt)
    return f"{prompt[:_BEGINNING]!r} .. ({len(prompt)} characters)"
