"""Turns the motion of a human's leader arms into targets for the follower arms.

This is a pure state machine, which takes joint states of the leaders and returns a target for the followers. It does
not limit speed and range. The chunk player applies those limits to a human's targets as it does to a policy's.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.reading_trust import ReadingTrust
from chunk_ppo_ros.robot.gate.trust_rule import LEADER, TrustRule

_ARM = slice(0, len(aloha.ARM_JOINTS))


@dataclasses.dataclass(frozen=True)
class LeaderReading:
    """The newest joint states of a leader that were believed.

    Attributes:
        state: float [7], rad and normalized gripper.
        currents: float [7], the currents of its motors, mA, NaN where one is not told; None where none is.
    """

    state: np.ndarray
    currents: np.ndarray | None = None


class LeaderArms:
    """Follows each leader from the moment in which it stands where its follower stands.

    A leader that is far away would make its follower jump. Therefore a leader is followed only once all its joints are
    within `robot.max_start_jump` of the held position, or of the end of the leader's own range where the follower is
    beyond it, as in the sleep pose. A chunk's first target keeps the same rule. A leader that is
    silent for `robot.state_timeout`, or whose joint states are not believed, is no longer followed, and must come to
    its follower again. The grippers of both may differ, because the speed of a gripper is limited.

    Args:
        config: the largest jump, and the time after which a leader is silent.
        rule: says which joint states are believed. A driver reports -pi for all joints of a leader too.
    """

    def __init__(self, config: RobotConfig, rule: TrustRule) -> None:
        self._max_jump = config.max_start_jump
        self._timeout = config.state_timeout
        self._trust = {side: ReadingTrust(side, rule, LEADER) for side in aloha.SIDES}
        self._arrivals: dict[str, float] = {}  # of the newest joint states, steady s
        self._readings: dict[str, LeaderReading] = {}
        self._followed: set[str] = set()
        self._problems: dict[str, str] = {}

        self._not_ready = ""

    @property
    def problem(self) -> str:
        """The reasons why leaders were not followed at the last target; empty where both were."""
        return "; ".join(self._problems.values())

    @property
    def not_ready(self) -> str:
        """The reason why no leader is followed yet, such as that they are being aligned; empty where one may be."""
        return self._not_ready

    def hold_back(self, reason: str) -> None:
        """Follows no leader while there is a reason. An empty one lets each be followed when it is at its follower."""
        if reason != self._not_ready:
            self._not_ready = reason
            self.release(reason)

    @property
    def any_followed(self) -> bool:
        """Whether a leader was followed at the last target."""
        return bool(self._followed)

    def observe(
        self,
        side: str,
        state: np.ndarray,
        *,
        now: float,
        stamp: int = 0,
        age: float = 0.0,
        currents: np.ndarray | None = None,
    ) -> None:
        """Takes a leader's joint states.

        Args:
            side: "left" or "right".
            state: float [7], rad and normalized gripper.
            now: the time of their arrival, steady s.
            stamp: their ROS time, ns.
            age: the ROS time of their arrival minus the stamp, s.
            currents: float [7], the currents of the motors, mA, or None where they are not told.
        """
        self._arrivals[side] = now
        if self._trust[side].judge(state, stamp=stamp, now=now, commanded=None, age=age):
            self._readings[side] = LeaderReading(state, currents)

    def reading(self, side: str, *, now: float) -> LeaderReading | None:
        """Returns where a leader is at the steady time `now`, or None where that is not known; see `unknown`."""
        return None if self.unknown(side, now=now) else self._readings[side]

    def newest(self, side: str) -> np.ndarray:
        """Returns the state, float [7], in which a leader was believed last. One must have been believed before."""
        return self._readings[side].state

    def unknown(self, side: str, *, now: float) -> str:
        """Returns why it is not known where a leader is at the steady time `now`, or an empty string."""
        if now - self._arrivals.get(side, -np.inf) > self._timeout:
            return f"no joint states of the {side} leader within {self._timeout} s; check its driver"
        return self._trust[side].doubt

    def confirm(self) -> None:
        """Records that the operator has looked at the arms."""
        for trust in self._trust.values():
            trust.confirm()

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
        if unknown := self.unknown(side, now=now):
            return unknown
        if side in self._followed:
            return ""
        reachable = np.clip(held[aloha.side_slice(side)][_ARM], LEADER.lower, LEADER.upper)
        away = np.abs(self._readings[side].state[_ARM] - reachable)
        worst = int(np.argmax(away))
        if away[worst] <= self._max_jump:
            return ""
        return (
            f"the {side} leader's {aloha.ARM_JOINTS[worst]} is more than {self._max_jump} rad (robot.max_start_jump) "
            "from the follower's; bring it there"
        )
