"""Says which names are like a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def nearest(name: str, known: Iterable[str], *, most: int = 2) -> list[str]:
    """Returns the known names that are most like a misspelt one, at most `most`, the nearest first.

    Of names that differ in "-" and "_" only, such as --no-wandb and --no_wandb, the first stands for all.
    """
    names = list({name.replace("-", "_"): name for name in reversed(list(known))}.values())[::-1]
    near = difflib.get_close_matches(name, names, n=most)
    return near or [other for other in names if name and other.startswith(name)][:most]


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Returns "; did you mean A or B?", or `otherwise` where nothing is like the name."""
    near = nearest(name, known)
    return f"; {question(near)}" if near else otherwise


def question(names: Sequence[str]) -> str:
    """Returns "did you mean A or B?" for names that are like a misspelt one. It is empty where there are none."""
    return f"did you mean {' or '.join(names)}?" if names else ""
