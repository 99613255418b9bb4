"""Computes how joints brake whose acceleration is limited. Steps and changes of a step are those of one command.

These are pure functions. A change c is infinite where the acceleration is not limited.
"""

from __future__ import annotations

import numpy as np


def stopping_step(distance: np.ndarray, max_change: np.ndarray) -> np.ndarray:
    """Returns the longest step toward a point after which a joint can still stop at the point.

    A step s that becomes smaller by c from one command to the next ends within s^2 / (2 c). The longest step is that
    with s + s^2 / (2 c) = d, or the whole distance d where it is within c.

    Args:
        distance: float [14], the distance d to the point, rad. It is negative where the joint is beyond the point,
            which gives a step of 0.
        max_change: float [14], the largest change c of a step, rad; infinite where the acceleration is not limited.
    """
    ahead = np.maximum(distance, 0.0)
    change = np.where(np.isfinite(max_change), max_change, 0.0)
    return np.where(ahead <= max_change, ahead, np.sqrt(change**2 + 2.0 * change * ahead) - change)


def braking_path(steps: np.ndarray, start: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Returns the commands of an arm that makes a step and then brakes until it rests, float64 [n, 1 + k, 7].

    Args:
        steps: float [n, 7], the steps of n ways to go on.
        start: float [7], the command before, with which each way begins.
        change: float [7], the largest change of a step.
    """
    number = int(np.max(np.ceil(np.abs(steps[:, :-1]) / change[:-1]), initial=1.0))
    braked = braked_step(steps[:, None], change, np.arange(number)[:, None])
    return np.concatenate([np.zeros((len(steps), 1, len(start))), np.cumsum(braked, axis=1)], axis=1) + start


def braked_step(step: np.ndarray, change: np.ndarray, number: np.ndarray | int = 1) -> np.ndarray:
    """Returns what a step, float [.., 7], becomes after a number of commands that brake by the largest change."""
    return np.sign(step) * np.maximum(np.abs(step) - number * change, 0.0)
