"""Counts the targets of a chunk that the commands of a robot with a limited acceleration have passed.

Such a robot lags behind the targets, and where they turn it turns earlier. So not every target is passed.
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.robot import aloha

PASS_TOLERANCE = 0.01
"""The distance from a target within which a command has passed it, rad; half a degree, about what an arm repeats."""


def num_passed(
    targets: np.ndarray, commanded: np.ndarray, start: np.ndarray, reachable: np.ndarray | None = None
) -> int:
    """Returns how many of the targets were passed, each after the one before and not earlier than it was asked.

    A target is passed when each arm joint has been commanded to it or across it. Joints may pass it in different steps.
    Grippers do not count, because one that holds an object is far from its target by intent.

    Args:
        targets: float [k, 14], the targets that were asked for, in order, rad. Those outside the joint ranges count as
            the border of the range.
        commanded: float [n, 14], the commands, of which command i was the first toward target i.
        start: float [14], the command before the first.
        reachable: bool [k, 14], whether a dimension must pass a target; None for all. An arm need not pass what is
            outside its workspace.
    """
    if not len(commanded):
        return 0
    arms = aloha.ARM_INDICES
    asked = np.clip(targets, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)[:, arms]
    path = np.vstack([start, commanded])[:, arms]
    low = np.minimum(path[:-1], path[1:]) - PASS_TOLERANCE
    high = np.maximum(path[:-1], path[1:]) + PASS_TOLERANCE
    steps = np.arange(len(commanded))[:, None]
    earliest = np.zeros(len(arms), int)  # the step in which each joint passed the target before
    is_free = np.zeros_like(asked, bool) if reachable is None else ~reachable[:, arms]
    count = 0
    for number, target in enumerate(asked):
        hits = ((low <= target) & (target <= high) | is_free[number]) & (steps >= np.maximum(earliest, number))
        found = np.any(hits, axis=0)
        earliest = np.where(found, np.argmax(hits, axis=0), earliest)
        count += bool(np.all(found))
    return count
