"""Calls the registered functions that rewards are made of, which are reward terms and measurements."""

from __future__ import annotations

import math
from collections.abc import Callable

from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.own_parts.user_code import definition, place, raised


def number_of(name: str, function: Callable[..., float], *arguments: object, is_finite: bool = False) -> float:
    """Calls a registered function and returns its number.

    Args:
        name: the kind and the name of the function, such as "reward.scene_terms rise", for the error.
        function: the function, which may belong to another package and may raise anything.
        arguments: its arguments.
        is_finite: whether NaN and infinity are refused too.

    Raises:
        RewardError: when the function raises, or returns no such number. Its cause is what was raised.
    """
    try:
        number = float(function(*arguments))
    except (Exception, SystemExit) as error:  # The function belongs to somebody else and may raise anything.
        where = raised(error) if place(error) else f"{error!r}{definition(function)}"
        raise RewardError(f"{name} must return a number, got {where}; repair it, or leave it out") from error
    if is_finite and not math.isfinite(number):
        raise RewardError(
            f"{name} must return a finite number, got {number}{definition(function)}; repair it, or leave it out"
        )
    return number
