"""Calls the registered functions that rewards are made of, which are reward terms and measurements."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from chunk_ppo_ros.core.errors import RewardError


def number_of(name: str, function: Callable[..., float], *arguments: object) -> float:
    """Calls a registered function and returns its number, which may be NaN.

    Args:
        name: the kind and the name of the function, such as "reward.scene_terms rise", for the error.
        function: the function, which may belong to another package and may raise anything.
        arguments: its arguments.

    Raises:
        RewardError: when the function raises, or returns no number. Its cause is what was raised.
    """
    try:
        return float(function(*arguments))
    except Exception as error:
        raise RewardError(
            f"{name} must return a number, got {error!r}{_place(error)}; repair it, or leave it out"
        ) from error


def _place(error: Exception) -> str:
    """Returns the file and the line that raised an error, for a message. A value that is no number has none."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "" if frame.filename == __file__ else f" at {frame.filename}:{frame.lineno}"
