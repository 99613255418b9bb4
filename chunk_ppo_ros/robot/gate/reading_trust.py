"""Decides which joint states of an arm are believed.

A driver may report joint states that are not the arm's. Interbotix's driver publishes -pi for every joint after a
failed read, and goes on. A reading that cannot be right is not used, and neither are the next ones until several in a
row agree with each other. Meanwhile nothing moves.

`now` is the time of a steady clock in s.
"""

from __future__ import annotations

import enum

import numpy as np

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import FOLLOWER, ArmKind, TrustRule

RANGE_MARGIN = 0.35
"""The angle by which a joint may be outside its range, rad. ALOHA's sleep pose is, and -pi of a failed read is not."""
NOISE = 0.01
"""The change of a reading that is always believed, rad."""
MAX_WAIT = 0.1
"""The longest time for which readings may have waited for this process, s."""
TIME_TOLERANCE = 1e-6


class Trust(enum.Enum):
    """Lists how far joint states are trusted. Those of an arm that an operator is asked about are believed."""

    DOUBTED = "they may be wrong"
    ASKS = "they are believed, and the arm is far from its last command"
    TRUSTED = "the arm may move"


class Zeros(enum.Enum):
    """Lists what is known about six joints at exactly 0, as a failed read may report them."""

    PLAUSIBLE = "there are none, or the arm was near there"
    DOUBTED = "they came by surprise"
    CONFIRMED = "the operator has seen the arm there"


class ReadingTrust:
    """Believes the joint states of one arm, or says why it does not.

    Args:
        side: "left" or "right".
        rule: says when joint states are believed.
        kind: says where the joints can be.
    """

    def __init__(self, side: str, rule: TrustRule, kind: ArmKind = FOLLOWER) -> None:
        self._side, self._rule, self._kind = side, rule, kind
        self._arm = f"{side} {kind.name}"
        self._newest: np.ndarray | None = None  # the newest reading, believed or not
        self._newest_stamp, self._newest_time = 0, -np.inf
        self._believed: np.ndarray | None = None  # the newest reading that was believed
        self._zeros = Zeros.PLAUSIBLE
        self._num_agreeing, self._agreeing_since = 0, 0.0  # the newest readings that agree with each other
        self._trust = Trust.DOUBTED
        self._doubt = f"joint states of the {self._arm} must have come before a chunk; check its driver"

    @property
    def doubt(self) -> str:
        """The reason why the arm must not move, and what to do; empty where its joint states are trusted."""
        return "" if self._trust is Trust.TRUSTED else self._doubt

    def confirm(self) -> None:
        """Records that the operator has looked at the robot and lets it start from where it stands."""
        if self._trust is Trust.ASKS:
            self._trust = Trust.TRUSTED
        if self._zeros is Zeros.DOUBTED:
            self._zeros = Zeros.CONFIRMED

    def judge(
        self, state: np.ndarray, *, stamp: int, now: float, commanded: np.ndarray | None, age: float = 0.0
    ) -> bool:
        """Returns whether a reading is believed.

        Args:
            state: float [7], the joints of the arm, rad and normalized opening.
            stamp: the ROS time of the reading, ns.
            now: the time of its arrival, steady s.
            age: the ROS time of its arrival minus the stamp, s.
            commanded: float [7], the last command for the arm, or None before the first.
        """
        if self._newest is not None and now - self._newest_time > self._rule.max_silence:
            # The arm may have been moved meanwhile.
            self._begin_doubt(f"joint states of the {self._arm} came back and must agree for a while")
        wrong = (
            self._out_of_time(age)
            or self._out_of_range(state)
            or self._all_zero(state, commanded)
            or self._leap(state, stamp, now)
        )
        self._newest, self._newest_stamp, self._newest_time = np.array(state), stamp, now
        if wrong:
            self._doubt_for(wrong)
            return False
        if self._trust is Trust.DOUBTED:
            self._believe_again(state, now, commanded)
        is_believed = self._trust is not Trust.DOUBTED
        if is_believed:
            self._believed = self._newest
        return is_believed

    def judge_out_of_order(self, state: np.ndarray, *, commanded: np.ndarray | None) -> None:
        """Doubts the arm where a reading cannot be right that is not used, because its stamp is not new.

        Such a reading says nothing of where the arm is now. But one of a failed read shows that the driver fails. After
        a clock was set back, all readings for some time have stamps that are not new.

        Args:
            state: float [7], the joints of the arm, rad and normalized opening.
            commanded: float [7], the last command for the arm, or None before the first.
        """
        if wrong := self._out_of_range(state) or self._all_zero(state, commanded):
            self._doubt_for(wrong)

    def _doubt_for(self, wrong: str) -> None:
        self._begin_doubt(f"joint states of the {self._arm} are not believed: {wrong}; check its driver")

    def _begin_doubt(self, doubt: str) -> None:
        self._trust, self._doubt, self._num_agreeing = Trust.DOUBTED, doubt, 0

    def _believe_again(self, state: np.ndarray, now: float, commanded: np.ndarray | None) -> None:
        """Believes the arm where enough readings agree, and asks the operator where it is far from the last command."""
        if self._num_agreeing == 0:
            self._agreeing_since = now
        self._num_agreeing += 1
        enough = self._num_agreeing >= self._rule.num_agreeing
        if not enough or now - self._agreeing_since < self._rule.agreeing_time - TIME_TOLERANCE:
            return
        self._doubt = self.question(state, commanded)
        self._trust = Trust.ASKS if self._doubt else Trust.TRUSTED

    def question(self, state: np.ndarray, commanded: np.ndarray | None) -> str:
        """Returns what the operator is asked about an arm that is far from its last command, or an empty string.

        Args:
            state: float [7], where the arm is.
            commanded: float [7], its last command, or None before the first.
        """
        if commanded is None or not self._rule.asks:
            return ""
        away = np.abs(state - commanded)[: len(aloha.ARM_JOINTS)]
        worst = int(np.argmax(away))
        if away[worst] <= self._rule.max_start_jump:
            return ""
        return (
            f"the {self._side} {aloha.ARM_JOINTS[worst]} is {away[worst]:.2f} rad from the last command, more than "
            f"{self._rule.max_start_jump} rad (robot.max_start_jump); {self._rule.calls.way_out}"
        )

    def _out_of_time(self, age: float) -> str:
        """Doubts a stamp that is far from this clock, because the reading is late or the clocks differ."""
        if abs(age) <= self._rule.max_age:
            return ""
        side = "before" if age > 0.0 else "after"
        return (
            f"their stamp must be within {self._rule.max_age} s of this clock (robot.state_timeout), got "
            f"{abs(age):.1f} s {side} it; synchronize the clock of the driver's machine (chrony does), or see why "
            "they come late"
        )

    def _out_of_range(self, state: np.ndarray) -> str:
        kind = self._kind
        low = np.array([*(limit - RANGE_MARGIN for limit in kind.lower), kind.opening[0]])
        high = np.array([*(limit + RANGE_MARGIN for limit in kind.upper), kind.opening[1]])
        bad = np.flatnonzero((state < low) | (state > high) | ~np.isfinite(state))
        if not len(bad):
            return ""
        joint = int(bad[0])
        if np.isinf(state[joint]) and joint == len(aloha.ARM_JOINTS):
            return "the motor of the gripper is farther than it can turn"
        name, unit = ((*aloha.ARM_JOINTS, aloha.GRIPPER)[joint], " rad" if joint < len(aloha.ARM_JOINTS) else "")
        return f"{name} must be within {low[joint]:.2f}..{high[joint]:.2f}{unit}, got {state[joint]:.4f}"

    def _all_zero(self, state: np.ndarray, commanded: np.ndarray | None) -> str:
        """Doubts six joints at exactly 0, unless the arm was seen or sent near there. A failed read may look so."""
        arm = slice(0, len(aloha.ARM_JOINTS))
        if np.any(state[arm]):
            self._zeros = Zeros.PLAUSIBLE  # A confirmation is for this time alone.
            return ""
        if self._zeros is Zeros.CONFIRMED:
            return ""
        known = commanded if self._believed is None else self._believed
        if known is not None and np.max(np.abs(known[arm])) <= self._rule.max_start_jump:
            return ""
        self._zeros = Zeros.DOUBTED
        return f"all six joints are exactly 0; where the arm really stands so, {self._rule.calls.way_out}"

    def _leap(self, state: np.ndarray, stamp: int, now: float) -> str:
        """Doubts a change that the motors cannot make.

        The time since the last reading is that between their arrivals, or between their stamps where this is longer,
        because readings that waited for this process arrive at once. It counts up to `MAX_WAIT`, so that the change
        that is believed does not grow with a silence.
        """
        if self._newest is None:
            return ""
        change = np.abs(state - self._newest)[: len(aloha.ARM_JOINTS)]
        between_stamps = (stamp - self._newest_stamp) / NANOSECONDS
        since = max(min(max(now - self._newest_time, between_stamps), MAX_WAIT), self._rule.period)
        allowed = self._rule.max_speed * since + NOISE
        worst = int(np.argmax(change))
        if change[worst] <= allowed:
            return ""
        return (
            f"{aloha.ARM_JOINTS[worst]} changed by {change[worst]:.2f} rad in {since:.3f} s, and {self._kind.mover} "
            f"can turn it by {allowed:.2f} rad"
        )
