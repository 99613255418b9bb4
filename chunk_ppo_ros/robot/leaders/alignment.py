"""Leads one leader arm slowly to the pose of its follower, and stops where something resists.

`now` is the time of a steady clock in s. Poses are the six joints of an arm, rad.
"""

from __future__ import annotations

import math

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import LEADER

MAX_ERROR = 0.1
"""The distance of a joint from its command, rad, up to which a leader is where it was commanded to be."""
GIVE_WAY_ERROR = 0.05
"""The distance of a joint from its command, rad, up to which a leader that stands still holds the command."""
RESISTANCE_TIME = 0.5
"""The seconds for which a joint must be farther, or its current too large, before that counts as resistance."""
ACCELERATION = 1.0
"""The acceleration of the fastest joint, rad/s^2."""
REST_TIME = 2.0
"""The seconds that a leader rests after resistance before it tries again."""
MAX_TRIES = 3
"""The number of tries without headway after which it waits to be asked again."""
HEADWAY = 0.1
"""The angle of a joint, rad, by which a try must bring the leader on to count as headway."""
ASK_AGAIN = "free it and call takeover again with data: true, or hand back"


class Alignment:
    """Gives the commands that lead a leader from where it stands to a goal, in a straight line in joint space.

    While a joint is far from its command, the command does not go on. After resistance it goes back to where the arm
    was measured, so that the motors do not press. The leader rests there and tries again by itself, until `MAX_TRIES`
    tries have brought no headway.

    Args:
        start: float [6], the first command, which is where the leader is held.
        speed: the largest speed of a joint, rad/s.
        max_current: the current of a motor above which it meets resistance, mA; 0 for no limit.
    """

    def __init__(self, start: np.ndarray, *, speed: float, max_current: float) -> None:
        self._max_speed = speed
        self._max_current = max_current
        self._commanded = np.array(start, np.float64)
        self._speed = 0.0  # of the fastest joint, rad/s
        self._strained_since: float | None = None
        self._retreat: np.ndarray | None = None  # where the leader was when it met resistance
        self._tries = 0
        self._stopped_at = self._commanded  # where the last try ended
        self._resumes_at = 0.0
        self._resistance = ""
        self._is_aligned = False

    @property
    def commanded(self) -> np.ndarray:
        """The last command, float64 [6]."""
        return self._commanded

    @property
    def is_aligned(self) -> bool:
        """Whether the leader was at the goal at the last step."""
        return self._is_aligned

    @property
    def resistance(self) -> str:
        """What the leader meets, and what ends it, as a sentence; empty where it goes on."""
        return self._resistance

    def ask_again(self) -> None:
        """Lets a leader that has met resistance try again now."""
        self._tries, self._resumes_at = 0, 0.0

    @property
    def gives_way(self) -> bool:
        """Whether the command is still on its way back to where the leader met resistance."""
        return self._retreat is not None and not np.array_equal(self._commanded, self._retreat)

    def rest(self) -> None:
        """Keeps the last command, because it is not known where the leader or its follower is."""
        self._speed, self._is_aligned = 0.0, False

    def stay(self, measured: np.ndarray | None, *, now: float, period: float) -> np.ndarray:
        """Returns the next command, float64 [6], of a leader that must not go on.

        It stays. Where a joint is away from its command on the way, it gives way once, because somebody may have
        stopped it for what it presses.

        Args:
            measured: float [6], where the leader is; None where that is not known.
            now: the steady time, s.
            period: the time between two steps, s.
        """
        if self._retreat is not None:
            self._move(self._retreat, period)
        elif not self._is_aligned and measured is not None and self._error(measured)[1] > GIVE_WAY_ERROR:
            self._stop("it was stopped on its way, away from its command", measured, now)
        self._speed = self._speed if self.gives_way else 0.0
        return self._commanded

    def step(
        self, goal: np.ndarray, measured: np.ndarray, currents: np.ndarray | None, *, now: float, period: float
    ) -> np.ndarray:
        """Returns the next command, float64 [6].

        Args:
            goal: float [6], where the follower is commanded to be. What the leader cannot reach is clipped.
            measured: float [6], where the leader is.
            currents: float [6], the currents of its motors, mA; None or NaN where they are not told.
            now: the steady time, s.
            period: the time between two steps, s.
        """
        goal = np.clip(goal, LEADER.lower, LEADER.upper)
        if self._retreat is not None:
            return self._rest_after_resistance(self._retreat, now, period)
        strain = self._strain(measured, currents)
        if self._is_sustained(strain, now):
            self._stop(strain, measured, now)
        if strain:
            self.rest()
            return self._commanded
        self._move(goal, period)
        at_goal = bool(np.all(self._commanded == goal))
        self._is_aligned = at_goal and bool(np.max(np.abs(goal - measured)) <= MAX_ERROR)
        return self._commanded

    def _move(self, goal: np.ndarray, period: float) -> None:
        way = goal - self._commanded
        distance = float(np.max(np.abs(way)))
        braking = math.sqrt(2.0 * ACCELERATION * distance)
        self._speed = min(self._max_speed, self._speed + ACCELERATION * period, braking)
        reach = max(self._speed, ACCELERATION * period) * period
        if distance <= reach:
            self._commanded = goal
            self._speed = 0.0
        else:
            self._commanded = self._commanded + way * (reach / distance)

    def _strain(self, measured: np.ndarray, currents: np.ndarray | None) -> str:
        """Returns which joint is away from its command, or which motor has too large a current, or nothing."""
        joint, error = self._error(measured)
        if error > MAX_ERROR:
            return f"its {joint} is {error:.2f} rad from its command"
        if currents is None or not self._max_current:
            return ""
        strongest = int(np.argmax(np.nan_to_num(np.abs(currents))))
        current = abs(currents[strongest])
        if not current > self._max_current:
            return ""
        limit = f"{self._max_current:g} mA (robot.leader_max_current)"
        return f"the current of its {aloha.ARM_JOINTS[strongest]} is {current:.0f} mA, above {limit}"

    def _error(self, measured: np.ndarray) -> tuple[str, float]:
        """Returns the joint that is farthest from its command, and how far it is, rad."""
        error = np.abs(self._commanded - measured)
        worst = int(np.argmax(error))
        return aloha.ARM_JOINTS[worst], float(error[worst])

    def _is_sustained(self, strain: str, now: float) -> bool:
        if not strain:
            self._strained_since = None
            return False
        self._strained_since = now if self._strained_since is None else self._strained_since
        return now - self._strained_since >= RESISTANCE_TIME

    def _stop(self, problem: str, measured: np.ndarray, now: float) -> None:
        has_gained = np.max(np.abs(measured - self._stopped_at)) > HEADWAY
        self._tries = 1 if has_gained else self._tries + 1
        self._stopped_at = self._retreat = np.array(measured)
        self._resumes_at = now + REST_TIME if self._tries < MAX_TRIES else math.inf
        what_next = f"it tries again after {REST_TIME:g} s" if self._tries < MAX_TRIES else ASK_AGAIN
        self._resistance = f"something resists: {problem}; {what_next}"
        self._strained_since = None
        self.rest()

    def _rest_after_resistance(self, retreat: np.ndarray, now: float, period: float) -> np.ndarray:
        self._move(retreat, period)
        if now >= self._resumes_at and np.all(self._commanded == retreat):
            self._retreat, self._resistance = None, ""
            self.rest()
        return self._commanded
