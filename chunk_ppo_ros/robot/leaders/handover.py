"""Knows what the leader arms do, from a takeover to the hand-back and until they are let go.

This is a pure state machine. Its owner tells it what people ask for and what the leaders report, and carries out its
`order`. docs/intervention.md has the picture.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable

from chunk_ppo_ros.robot.leaders.gestures import GRIP
from chunk_ppo_ros.robot.robot_calls import WITHOUT_NAMESPACE, RobotCalls

AGAIN = "then call takeover again with data: true, or hand back"
MAY_BE_STIFF = "leaders that were left alone may still have torque; to switch it off, support them and call {release}"


class Leaders(enum.IntEnum):
    """Lists what the leaders do, as TakeoverState.msg numbers it."""

    FREE = 0
    ALIGNING = 1
    HOLDING = 2
    LIMP = 3


class Order(enum.Enum):
    """Lists what is to be done with the leaders."""

    NOTHING = "leave them alone"
    ALIGN = "give them torque, and lead them to the followers"
    WAIT = "hold them for a while, and align them afterwards"
    HOLD = "give them torque where they are, and hold them"
    LET_GO = "switch their torque off"


class _Phase(enum.Enum):
    FREE = enum.auto()
    ALIGNS = enum.auto()
    AWAITS_GRIP = enum.auto()
    AWAITS_GRIP_OF_FREE = enum.auto()  # the leaders are not commanded, and a grip is asked for
    AWAITS_GRIP_OF_LIMP = enum.auto()  # the robot was stopped while the followers followed
    LETS_GO = enum.auto()
    DRIVES = enum.auto()
    CATCHES = enum.auto()
    HOLDS = enum.auto()
    RELEASES = enum.auto()


@dataclasses.dataclass(frozen=True)
class _Meaning:
    """Says what a phase means for others, and which phase follows where both leaders have carried out the order.

    What else ends a wait for a leader's driver is the way out. In texts, "{gripped}" and "{release}" stand for command
    lines.
    """

    leaders: Leaders
    order: Order
    message: str = ""
    following: _Phase | None = None
    way_out: str = ""


_MEANINGS = {
    _Phase.FREE: _Meaning(Leaders.FREE, Order.NOTHING),
    _Phase.ALIGNS: _Meaning(
        Leaders.ALIGNING,
        Order.ALIGN,
        "the leaders are driven to the followers; keep clear of them",
        following=_Phase.AWAITS_GRIP,
        way_out="or hand back by the service takeover with data: false",
    ),
    _Phase.AWAITS_GRIP: _Meaning(
        Leaders.HOLDING, Order.HOLD, f"hold the leaders and {GRIP}, or call {{gripped}}; they go limp then"
    ),
    _Phase.AWAITS_GRIP_OF_FREE: _Meaning(
        Leaders.FREE, Order.NOTHING, f"bring the leaders to the followers and {GRIP}, or call {{gripped}}"
    ),
    _Phase.AWAITS_GRIP_OF_LIMP: _Meaning(
        Leaders.LIMP,
        Order.NOTHING,
        f"the robot was stopped; bring the leaders to the followers and {GRIP}, or call {{gripped}}",
    ),
    _Phase.LETS_GO: _Meaning(
        Leaders.HOLDING,
        Order.LET_GO,
        "keep holding the leaders; their torque is being switched off",
        following=_Phase.DRIVES,
    ),
    _Phase.DRIVES: _Meaning(Leaders.LIMP, Order.NOTHING),
    _Phase.CATCHES: _Meaning(
        Leaders.HOLDING,
        Order.HOLD,
        "keep holding the leaders; their torque is being switched on where they are",
        following=_Phase.HOLDS,
        way_out="or put the leaders down and call {release}",
    ),
    _Phase.HOLDS: _Meaning(
        Leaders.HOLDING, Order.HOLD, "the leaders hold; to let them go, support them and call {release}"
    ),
    _Phase.RELEASES: _Meaning(
        Leaders.HOLDING,
        Order.LET_GO,
        "keep supporting the leaders; their torque is being switched off",
        following=_Phase.FREE,
    ),
}


@dataclasses.dataclass(frozen=True)
class LeaderReport:
    """Says how one leader stands to its order.

    Attributes:
        is_done: whether the order is carried out.
        waits_for: what is waited for, as a sentence; empty where nothing is.
        problem: why the order cannot be carried out, as a sentence; empty where it can. The leader is left alone then.
    """

    is_done: bool = False
    waits_for: str = ""
    problem: str = ""


class Handover:
    """Goes through the phases of a takeover and of a hand-back.

    Args:
        aligns: whether the leaders are commanded (robot.align_leaders). Otherwise they are left alone, and a human who
            takes over is followed at once, as soon as each leader is where its follower is.
        calls: the command lines that texts name.
    """

    def __init__(self, *, aligns: bool, calls: RobotCalls = WITHOUT_NAMESPACE) -> None:
        self._aligns = aligns
        self._calls = calls
        self._phase = _Phase.FREE
        self._human = False
        self._needs_grip = aligns  # whether no leader is followed before a grip
        self._reason = ""  # why the leaders were left alone
        self._waits_for = ""
        self._is_halted = False

    @property
    def leaders(self) -> Leaders:
        """What the leaders do."""
        return _MEANINGS[self._phase].leaders

    @property
    def order(self) -> Order:
        """What is to be done with the leaders now."""
        order = _MEANINGS[self._phase].order
        return Order.WAIT if order is Order.ALIGN and self._is_halted else order

    @property
    def follows(self) -> bool:
        """Whether the followers may follow the leaders."""
        return self._phase is _Phase.DRIVES

    @property
    def awaits_grip(self) -> bool:
        """Whether a grip of both leaders is waited for."""
        return self._phase in (_Phase.AWAITS_GRIP, _Phase.AWAITS_GRIP_OF_FREE, _Phase.AWAITS_GRIP_OF_LIMP)

    @property
    def takes_grip(self) -> bool:
        """Whether a grip counts now: it is waited for, and the robot may move."""
        return self.awaits_grip and not self._is_halted

    @property
    def message(self) -> str:
        """What is waited for, and what ends the wait; empty where nothing is."""
        meaning = _MEANINGS[self._phase]
        way_out = meaning.way_out if self._waits_for and not self._is_halted else ""
        message, way_out = self._with_calls(meaning.message), self._with_calls(way_out)
        return "; ".join(filter(None, [message, self._reason, self._waits_for, way_out]))

    def take_over(self, *, needs_grip: bool = False) -> None:
        """Records that a human takes over, or asks again for leaders that were left alone.

        Args:
            needs_grip: whether the followers wait for a grip also where the leaders are not commanded.
        """
        has_taken_over = self._human and self._phase is not _Phase.FREE
        self._human, self._reason = True, ""
        if has_taken_over:
            return
        self._needs_grip = self._aligns or needs_grip
        if self._aligns:
            self._phase = _Phase.ALIGNS
        else:
            self._phase = _Phase.AWAITS_GRIP_OF_FREE if needs_grip else _Phase.DRIVES

    def give_back(self) -> None:
        """Records that the human hands back. Leaders that were commanded get torque where they are, and hold."""
        if not self._human:
            return
        commanded = self._aligns and self._phase is not _Phase.FREE
        self._human, self._reason = False, self._with_calls(MAY_BE_STIFF) if self._reason else ""
        self._phase = _Phase.CATCHES if commanded else _Phase.FREE

    def grip(self) -> str:
        """Lets the leaders go limp, because a person holds them. Returns why they do not, or an empty string."""
        if not self.awaits_grip:
            return f"no grip is waited for: {self.message or 'the leaders are free, or the followers follow them'}"
        if self._is_halted:
            return f"the robot must not move: {self._waits_for}"
        self._phase = _Phase.LETS_GO if self._phase is _Phase.AWAITS_GRIP else _Phase.DRIVES
        return ""

    def release(self) -> str:
        """Lets the leaders go. Returns why they are not let go, or an empty string."""
        if not self._aligns:
            return "robot_node commands no leader, because robot.align_leaders is false"
        if self._human:
            return "a human drives; hand back first by the service takeover with data: false"
        self._phase, self._reason = _Phase.RELEASES, ""
        return ""

    def step(self, reports: Iterable[LeaderReport], *, halted: str) -> None:
        """Goes on with what the leaders report.

        Args:
            reports: of both leaders.
            halted: why the robot must not move, or empty. Leaders that are being aligned stop and hold meanwhile, and
                no grip counts. Leaders that are followed must be gripped again afterwards, because a person may have
                let them go.
        """
        reports = tuple(reports)
        if halted and self._phase is _Phase.DRIVES and self._needs_grip:
            self._phase = _Phase.AWAITS_GRIP_OF_LIMP if self._aligns else _Phase.AWAITS_GRIP_OF_FREE
        stops = bool(halted) and (self._phase is _Phase.ALIGNS or self.awaits_grip)
        self._is_halted = stops
        waits = [halted] if stops else [report.waits_for for report in reports]
        self._waits_for = "; ".join(filter(None, waits))
        problem = "; ".join(report.problem for report in reports if report.problem)
        if problem:
            self._leave_alone(problem)
        elif not stops and all(report.is_done for report in reports):
            self._phase = _MEANINGS[self._phase].following or self._phase

    def _leave_alone(self, problem: str) -> None:
        """Keeps the reason until a human takes over again or hands back, or the leaders are to be let go."""
        again = AGAIN if self._human else "to switch their torque off, support them and call {release}"
        self._phase, self._waits_for = _Phase.FREE, ""
        self._reason = f"the leaders are left alone: {problem}; {self._with_calls(again)}"

    def _with_calls(self, text: str) -> str:
        """Returns a text of this file with the command lines that it names."""
        return text.format(gripped=self._calls.leaders_gripped, release=self._calls.release_leaders)
