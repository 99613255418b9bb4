"""Turns the motion of a human's leader arms into targets for the follower arms.

This is a pure state machine, which takes joint states of the leaders and returns a target for the followers. It does
not limit speed and range. The chunk player applies those limits to a human's targets as it does to a policy's.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Holds a leader's newest joint states, float [7], and the time of their arrival, steady s."""

    state: np.ndarray
    arrival: float


class LeaderArms:
    """Follows each leader from the moment in which it stands where its follower stands.

    A leader that is far away would make its follower jump. Therefore a leader is followed only once all its joints are
    within `robot.max_start_jump` of the held position. A chunk's first target keeps the same rule. A leader that is
    silent for `robot.state_timeout` is no longer followed, and must come to its follower again. The grippers of both
    may differ, because the speed of a gripper is limited.
    """

    def __init__(self, config: RobotConfig) -> None:
        self._max_jump = config.max_start_jump
        self._timeout = config.state_timeout
        self._readings: dict[str, _Reading] = {}
        self._followed: set[str] = set()
        self._problems: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """The reasons why leaders were not followed at the last target; empty where both were."""
        return "; ".join(self._problems.values())

    @property
    def any_followed(self) -> bool:
        """Whether a leader was followed at the last target."""
        return bool(self._followed)

    def observe(self, side: str, state: np.ndarray, *, now: float) -> None:
        """Takes a leader's joint states, float [7], rad and normalized gripper, that arrived at `now`, steady s."""
        self._readings[side] = _Reading(state, now)

    def release(self, reason: str = "") -> None:
        """Stops following the leaders until each comes to its follower again. `reason` becomes the reported problem."""
        self._followed.clear()
        self._problems = {"": reason} if reason else {}

    def target(self, held: np.ndarray, *, now: float) -> np.ndarray | None:
        """Returns the target of the followers, float64 [14], or None where no leader is followed.

        Args:
            held: float [14], the position that the followers hold. An arm whose leader is not followed stays there.
            now: the steady time, s.
        """
        self._problems = {side: text for side in aloha.SIDES if (text := self._obstacle(side, held, now))}
        self._followed = {side for side in aloha.SIDES if side not in self._problems}
        if not self._followed:
            return None
        target = np.array(held, dtype=np.float64)
        for side in self._followed:
            target[aloha.side_slice(side)] = self._readings[side].state
        return target

    def _obstacle(self, side: str, held: np.ndarray, now: float) -> str:
        """Returns the reason why a leader may not be followed now, or an empty string where it may."""
        reading = self._readings.get(side)
        if reading is None or now - reading.arrival > self._timeout:
            return f"no joint states of the {side} leader within {self._timeout} s"
        if side in self._followed:
            return ""
        away = np.abs(reading.state - held[aloha.side_slice(side)])[: len(aloha.ARM_JOINTS)]
        worst = int(np.argmax(away))
        if away[worst] <= self._max_jump:
            return ""
        return (
            f"the {side} leader's {aloha.ARM_JOINTS[worst]} is more than {self._max_jump} rad (robot.max_start_jump) "
            "from the follower's; bring it there"
        )
