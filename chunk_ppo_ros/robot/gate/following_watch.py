"""Notices an arm that does not follow its commands: it is blocked, its torque is off, or its driver is in another mode.

`now` is the time of a steady clock in s.
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.robot import aloha

PATIENCE = 0.5
"""The time for which an arm may be farther from its command than allowed, s."""
FEWEST_COMMANDS = 8
"""The fewest commands of a chunk after which a joint must have moved."""
LEAST_MOTION = 0.05
"""The smallest commanded motion of a joint that is looked at, rad."""
LEAST_PART = 0.1
"""The part of the commanded motion that a joint with torque has made by the end of a chunk, whatever its lag."""


class FollowingWatch:
    """Compares the commands with the measured positions of the arm joints.

    Grippers are left out, because one that holds an object is far from its command by intent.

    Args:
        max_error: the distance from the command that counts as following, rad; 0 for any.
    """

    def __init__(self, max_error: float) -> None:
        self._max_error = max_error
        self._behind_since: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether arms must follow their commands."""
        return self._max_error > 0.0

    def obstruction(self, commanded: np.ndarray, measured: np.ndarray, *, now: float) -> str:
        """Returns which joint has not followed for too long, or an empty string.

        Args:
            commanded: float [14], the last command.
            measured: float [14], the newest measured position.
            now: the steady time, s.
        """
        error = np.abs(commanded - measured)
        if not self._max_error or np.all(error[aloha.ARM_INDICES] <= self._max_error):
            self._behind_since = None
            return ""
        if self._behind_since is None:
            self._behind_since = now
        if now - self._behind_since < PATIENCE:
            return ""
        worst, name = aloha.worst_joint(error)
        return (
            f"the {name} does not follow: it is at {measured[worst]:.2f} rad, {error[worst]:.2f} rad from its "
            f"command, more than {self._max_error} rad (robot.max_following_error) for {PATIENCE} s; look whether "
            "something blocks it or its torque is off"
        )


def stood_still(commanded: np.ndarray, before: np.ndarray, after: np.ndarray) -> str:
    """Returns which joint a chunk did not move although it was commanded to, or an empty string.

    An arm without torque stays where it is. The commands of a short chunk may end before it counts as one that does not
    follow, and the next chunk begins near where it is.

    Args:
        commanded: float [n, 14], the commands of the chunk.
        before: float [14], the measured position after the first command.
        after: float [14], the measured position after the last one.
    """
    if len(commanded) < FEWEST_COMMANDS:
        return ""
    asked, moved = np.abs(commanded[-1] - commanded[0]), np.abs(after - before)
    worst, name = aloha.worst_joint(asked)
    if asked[worst] < LEAST_MOTION or moved[worst] >= LEAST_PART * asked[worst]:
        return ""
    return (
        f"the {name} did not move: it was commanded by {asked[worst]:.2f} rad and turned by "
        f"{moved[worst]:.3f} rad; look whether its torque is off or its driver is in another mode"
    )
