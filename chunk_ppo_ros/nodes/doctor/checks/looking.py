"""Words that several checks of the running robot share."""

from __future__ import annotations

from collections.abc import Sequence

NOT_LOOKED = "only the workstation was looked at (--workstation)"
"""The reason of checks that need the running robot, where it was not looked at."""


def in_words(nodes: Sequence[str]) -> str:
    """Returns the names of nodes as one text."""
    return ", ".join(nodes) or "an unknown node"
