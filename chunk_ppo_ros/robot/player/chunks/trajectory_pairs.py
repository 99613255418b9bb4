"""Joins the trajectories of both arms into pairs by their stamp.

`now` is the time of a steady clock in s. Stamps are ROS times in ns.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory


@dataclasses.dataclass(frozen=True)
class TrajectoryPair:
    """Holds both halves of a chunk, and the larger age of the two at their arrival, s."""

    left: ArmTrajectory
    right: ArmTrajectory
    age: float

    @property
    def stamp(self) -> int:
        """The stamp of the chunk, ns."""
        return self.left.stamp

    @property
    def targets(self) -> np.ndarray:
        """The targets float64 [k, 14] of both arms. Their halves must match."""
        return np.concatenate([self.left.positions, self.right.positions], axis=1)

    def mismatch(self) -> str | None:
        """Returns why the halves do not belong together, or None where they do."""
        left, right = self.left.times, self.right.times
        if len(left) != len(right):
            return f"both arms must have equally many points, got {len(left)} left and {len(right)} right"
        if not np.allclose(left, right, rtol=0.0, atol=1e-6, equal_nan=True):
            return "both arms must have the same times, got different ones"
        return None


@dataclasses.dataclass
class _Halves:
    """Holds the halves of a chunk that have arrived, the time of the first (steady s) and the larger age (s)."""

    first_arrival: float
    age: float
    by_side: dict[str, ArmTrajectory] = dataclasses.field(default_factory=dict)


class TrajectoryPairs:
    """Keeps the halves of chunks whose other half has not come yet.

    Args:
        timeout: the time within which the second half must come, s.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._waiting: dict[int, _Halves] = {}

    def add(self, side: str, trajectory: ArmTrajectory, *, age: float, now: float) -> TrajectoryPair | None:
        """Takes one half of a chunk. Returns the pair with the second half, otherwise None.

        Args:
            side: "left" or "right".
            trajectory: the half of the chunk.
            age: the ROS time of arrival minus the stamp, s.
            now: the steady time, s.
        """
        halves = self._waiting.setdefault(trajectory.stamp, _Halves(now, age))
        halves.by_side[side] = trajectory
        halves.age = max(halves.age, age)
        if len(halves.by_side) < len(aloha.SIDES):
            return None
        del self._waiting[trajectory.stamp]
        left, right = (halves.by_side[side] for side in aloha.SIDES)
        return TrajectoryPair(left, right, halves.age)

    def drop(self, stamp: int) -> None:
        """Forgets the half of this stamp, if there is one."""
        self._waiting.pop(stamp, None)

    def overdue(self, now: float) -> dict[int, str]:
        """Returns the stamps whose second half did not come in time, each with the reason."""
        found = {}
        for stamp, halves in self._waiting.items():
            if now - halves.first_arrival > self._timeout:
                missing = next(side for side in aloha.SIDES if side not in halves.by_side)
                found[stamp] = (
                    f"the {missing} arm's trajectory did not come within {self._timeout} s (robot.pair_timeout)"
                )
        return found
