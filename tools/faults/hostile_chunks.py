"""Makes chunks, and spoils most of them: wrong numbers, times, lengths and stamps, and halves that go astray."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory

HORIZON = 16
"""The number of points of a chunk that is not spoiled."""
LONGEST = 20 * HORIZON
"""The number of points of the longest chunk."""
SPOILED_TARGETS = (
    "jump",
    "jump_at_start",
    "nan",
    "inf",
    "huge",
    "outside",
    "no_points",
    "one_point",
    "long",
    "reverse",
)
"""The ways in which the targets of a chunk are spoiled."""
SPOILED_TIMES = ("times_equal", "times_reversed", "times_nan", "times_negative", "times_apart")
"""The ways in which the times of a chunk are spoiled."""
SPOILED_STAMPS = ("stamp_old", "stamp_future", "stamp_zero", "stamp_far_future", "stamp_repeated")
"""The ways in which the stamp of a chunk is spoiled."""
SPOILED_HALVES = ("half_missing", "half_late", "half_shorter", "half_other_times", "half_twice", "halves_twice")
"""The ways in which the halves of a chunk go astray."""
WHOLE = "whole"
"""The kind of a chunk that is not spoiled."""
KINDS = (*SPOILED_TARGETS, *SPOILED_TIMES, *SPOILED_STAMPS, *SPOILED_HALVES)


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A half of a chunk on its way.

    Attributes:
        arrival: the steady time of its arrival, s.
        side: "left" or "right".
        trajectory: the half.
        kind: how the chunk was spoiled, or `WHOLE`.
    """

    arrival: float
    side: str
    trajectory: ArmTrajectory
    kind: str


class ChunkSource:
    """Makes the chunks of one trial.

    Args:
        random: the source of everything random.
        period: the control period, s.
    """

    def __init__(self, random: np.random.Generator, period: float) -> None:
        self._random, self._period = random, period
        self._stamps: list[int] = []

    def deliveries(self, start: np.ndarray, *, now: float, clock: int) -> list[Delivery]:
        """Returns the halves of a chunk. A chunk that is not spoiled starts near `start`, float [14].

        Args:
            start: where the robot stands or was sent, rad and normalized grippers.
            now: the steady time, s.
            clock: the ROS time of the sender, ns.
        """
        kind = WHOLE if self._random.random() < 0.5 else str(self._random.choice(KINDS))
        targets = self._spoil_targets(self._targets(start), kind)
        times = self._spoil_times(np.arange(1, len(targets) + 1) * self._period, kind)
        stamp = self._stamp(clock, kind)
        self._stamps.append(stamp)
        halves = {
            side: Delivery(now, side, ArmTrajectory(stamp, times, targets[:, aloha.side_slice(side)]), kind)
            for side in aloha.SIDES
        }
        return self._astray(halves, kind)

    def _targets(self, start: np.ndarray) -> np.ndarray:
        """Returns a smooth motion that speeds up and may be faster than the limits, float64 [16, 14]."""
        speed = self._random.normal(0.0, self._random.choice([0.0, 0.3, 1.5, 4.0]), aloha.ACTION_DIM)
        bend = self._random.normal(0.0, self._random.choice([0.0, 1.0, 20.0]), aloha.ACTION_DIM)
        times = self._period * np.arange(1, HORIZON + 1)[:, None]
        jitter = self._random.normal(0.0, self._random.choice([0.0, 0.002, 0.05]), (HORIZON, aloha.ACTION_DIM))
        return start + speed * times + bend * times**2 + jitter

    def _spoil_targets(self, targets: np.ndarray, kind: str) -> np.ndarray:
        at = (int(self._random.integers(HORIZON)), int(self._random.integers(aloha.ACTION_DIM)))
        if kind == "jump":
            targets[at[0] :] += self._random.normal(0.0, 2.0, aloha.ACTION_DIM)
        elif kind == "jump_at_start":
            targets += self._random.normal(0.0, 1.0, aloha.ACTION_DIM)
        elif kind == "nan":
            targets[at] = np.nan
        elif kind == "inf":
            targets[at] = self._random.choice([np.inf, -np.inf])
        elif kind == "huge":
            targets[at] = self._random.choice([1e6, -1e6, 1e300, -1e300])
        elif kind == "outside":
            targets[at[0] :, at[1]] = self._random.choice([-4.0, 4.0])
        elif kind == "reverse":
            targets[1::2] = 2.0 * targets[0] - targets[1::2]
        lengths = {"no_points": 0, "one_point": 1, "long": LONGEST}
        return np.resize(targets, (lengths.get(kind, HORIZON), aloha.ACTION_DIM))

    def _spoil_times(self, times: np.ndarray, kind: str) -> np.ndarray:
        if kind == "times_equal":
            return np.full_like(times, self._period)
        if kind == "times_reversed":
            return times[::-1]
        if kind == "times_nan":
            times[-1] = np.nan
        elif kind == "times_negative":
            times -= 1.0
        elif kind == "times_apart":
            times *= self._random.choice([0.1, 0.9, 1.1, 100.0])
        return times

    def _stamp(self, clock: int, kind: str) -> int:
        """Returns the stamp of a chunk, ns. One that is not spoiled is new."""
        if kind == "stamp_repeated" and self._stamps:
            return int(self._random.choice(self._stamps))
        if kind in ("stamp_old", "stamp_future"):
            away = round(self._random.uniform(0.5, 60.0) * NANOSECONDS)
            return max(0, clock - away if kind == "stamp_old" else clock + away)
        if kind == "stamp_zero":
            return 0
        if kind == "stamp_far_future":
            return (2**31 - 1) * NANOSECONDS + NANOSECONDS - 1
        return max(clock, self._stamps[-1] + 1) if self._stamps and self._stamps[-1] < clock + 10**6 else clock

    def _astray(self, halves: dict[str, Delivery], kind: str) -> list[Delivery]:
        """Returns the halves as they arrive, with the delays of a network."""
        left, right = (self._late(halves[side], self._random.exponential(0.002)) for side in aloha.SIDES)
        first, second = (left, right) if self._random.random() < 0.5 else (right, left)
        if kind == "half_missing":
            return [first]
        if kind == "half_late":
            return [first, self._late(second, self._random.uniform(0.1, 2.0))]
        if kind == "half_shorter":
            return [first, self._cut(second)]
        if kind == "half_other_times":
            return [first, self._shift(second)]
        if kind == "half_twice":
            return [first, self._late(first, self._random.uniform(0.0, 0.3)), second]
        if kind == "halves_twice":
            delay = self._random.uniform(0.0, 3.0)
            return [first, second, self._late(first, delay), self._late(second, delay)]
        return [first, second]

    def _late(self, half: Delivery, delay: float) -> Delivery:
        return dataclasses.replace(half, arrival=half.arrival + delay)

    def _cut(self, half: Delivery) -> Delivery:
        full = half.trajectory
        length = int(self._random.integers(HORIZON))
        cut = ArmTrajectory(full.stamp, full.times[:length], full.positions[:length])
        return dataclasses.replace(half, trajectory=cut)

    def _shift(self, half: Delivery) -> Delivery:
        full = half.trajectory
        return dataclasses.replace(half, trajectory=dataclasses.replace(full, times=full.times + self._period))
