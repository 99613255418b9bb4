"""Judges a stream of commands by what the commands are, without the gate that made them.

A command follows from the one before by a step. The rules of a step, for each joint:

- It is at most v min(dt, T), for the speed v, the real time dt since the command before and the control period T.
- It differs from the step before by at most a T^2, for the acceleration a, counted by command index. After more than
  3 T without a command the step before counts as 0. Where a short dt allows less speed than the acceleration needs, the
  speed counts, and the step must be the longest that it allows. Grippers have no limit of acceleration.
- The command is within the joint's range. From outside it is not farther outside than the command before.
- The watched points of each arm are in its workspace. From outside none is farther beyond a side than before.

When the largest speed is lowered, a step may be longer where it is shorter than the one before by the largest change.

A command that breaks these rules may be a new anchor: it then follows at rest from a reading of the last half second.
This is allowed only before the first command, or where a fault or an operator stopped the motion before, and the robot
may be at rest. Each new anchor is counted, with its distance from the command before. Where an arm joint is farther
than `robot.max_start_jump` from it, an operator must have started an episode since the motion was stopped.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.workspace import Workspace, workspaces_of
from faults.counts import Counts

TOLERANCE = 1e-9
"""The difference that counts as rounding, rad."""
MAX_GAP = 3.0
"""The number of control periods without a command after which the robot counts as being at rest."""
WORKSPACE_TOLERANCE = 1e-6
"""The distance that counts as rounding where commands went over topics, m."""
ANCHOR_WINDOW = 0.5
"""The age up to which a reading can be a new anchor, s."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a step.

    Attributes:
        period: the control period T, s.
        speed: float [14], the largest speed v, rad/s.
        change: float [14], the largest change a T^2 of a step, rad; infinite for grippers.
        start_jump: the distance from the last command from which a motion may start without an operator, rad.
        ramp_steps: the number of control steps within which a stop must have ended: v / (a T) + 2.
        workspaces: the workspaces of the arms that have one, by side.
    """

    period: float
    speed: np.ndarray
    change: np.ndarray
    start_jump: float
    ramp_steps: int
    workspaces: Mapping[str, Workspace] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, config: RobotConfig) -> Limits:
        """Returns the limits of a configuration that limits the acceleration."""
        period = 1.0 / config.control_rate
        speed = np.full(aloha.ACTION_DIM, config.max_velocity)
        speed[aloha.GRIPPER_INDICES] = config.max_gripper_velocity
        change = np.full(aloha.ACTION_DIM, config.max_acceleration * period**2)
        change[aloha.GRIPPER_INDICES] = np.inf
        ramp_steps = int(np.ceil(config.max_velocity / config.max_acceleration / period)) + 2
        return cls(period, speed, change, config.max_start_jump + 0.01, ramp_steps, workspaces_of(config))

    def at_most(self, max_velocity: float) -> Limits:
        """Returns the limits with another largest speed of the arm joints, rad/s."""
        speed = self.speed.copy()
        speed[aloha.ARM_INDICES] = max_velocity
        return dataclasses.replace(self, speed=speed)


class StreamCheck:
    """Judges one command after the other.

    Args:
        limits: the limits.
        counts: what is found is counted here.
        report: is called with the name of a broken rule and the numbers.
        slack: how far the times of the commands may be from those that the gate counted by, s. A command must keep the
            rules for one of the times that are possible.
        tip_slack: how far the finger tips of a command may be from those that the gate counted by, m. A back end keeps
            fingers within the range of their joint.
    """

    def __init__(
        self,
        limits: Limits,
        counts: Counts,
        report: Callable[[str, str], None],
        *,
        slack: float = 0.0,
        tip_slack: float = 0.0,
    ) -> None:
        self._limits, self._counts, self._report, self._slack = limits, counts, report, slack
        self._tip_slack = WORKSPACE_TOLERANCE + tip_slack
        self.last: np.ndarray | None = None
        self.step = np.zeros(aloha.ACTION_DIM)
        self._other_steps: dict[str, list[np.ndarray]] = {}  # the last steps of each arm if the command was an anchor
        self.sent = -np.inf
        self._may_anchor, self._is_confirmed = True, True
        self._readings: dict[str, collections.deque[tuple[float, np.ndarray]]] = {
            side: collections.deque(maxlen=64) for side in aloha.SIDES
        }

    @property
    def is_fast(self) -> bool:
        """Whether the last command was too fast for the robot to stop at once."""
        return bool(np.any(np.abs(self.step) > self._limits.change + TOLERANCE))

    def set_max_velocity(self, max_velocity: float) -> None:
        """Judges by another largest speed of the arm joints from now on, rad/s."""
        self._limits = self._limits.at_most(max_velocity)

    def note_reading(self, side: str, state: np.ndarray, now: float) -> None:
        """Records a reading, float [7], that was given to the robot."""
        self._readings[side].append((now, np.array(state)))

    def allow_anchor(self, *, confirmed: bool) -> None:
        """Records that the next motion may start from a reading, because a fault or an operator stopped the last.

        Args:
            confirmed: whether an operator has looked where the robot is.
        """
        self._may_anchor = True
        self._is_confirmed |= confirmed

    def command(self, target: np.ndarray, now: float, *, playing: bool) -> None:
        """Judges a command.

        Args:
            target: float [14], rad and normalized grippers.
            now: the steady time at which it was sent, s.
            playing: whether it belongs to a chunk or segment. Otherwise it brakes, or is not recorded.
        """
        self._counts.commands += 1
        if not np.all(np.isfinite(target)):
            self._report("outside_limits", f"the command is not finite: {target.tolist()}")
            return
        gap, start = now - self.sent, self.last
        found = ["over_velocity"]
        if start is not None:
            befores = {side: [start[aloha.side_slice(side)]] for side in aloha.SIDES}
            found = [*self._best(target - start, gap), *self._outside(target, befores)]
        anchors = self._near(target, now) if self._may_anchor and (start is None or self._is_slow(gap)) else {}
        if start is not None and not found:
            self._note_forced(target - start, gap)
        elif anchors:
            anchor = np.concatenate([anchors[side][-1] for side in aloha.SIDES])
            if start is not None:
                self._note_jump(float(np.max(np.abs(anchor - start)[aloha.ARM_INDICES])))
            start, found = anchor, self._outside(target, anchors)
        for rule in found:
            step = "" if start is None else f" by {np.round(target - start, 4).tolist()}"
            where = f" to {np.round(target, 4).tolist()}"
            self._report(rule, f"{gap:.4f} s after a step of {np.round(self.step, 4).tolist()}{step}{where}")
        if start is not None:
            self.step = target - start
        self._other_steps = {
            side: [target[aloha.side_slice(side)] - start for start in anchors[side]] for side in anchors
        }
        self.last, self.sent = np.array(target), now
        if playing:
            self._may_anchor = self._is_confirmed = False

    def _is_slow(self, gap: float) -> bool:
        """Returns whether the robot can be at rest `gap` seconds after the last command."""
        return not self.is_fast or gap + self._slack > MAX_GAP * self._limits.period

    def _note_forced(self, step: np.ndarray, gap: float) -> None:
        is_forced = bool(np.any(np.abs(step - self.step) > self._limits.change + TOLERANCE))
        self._counts.forced += is_forced and gap <= MAX_GAP * self._limits.period

    def _best(self, step: np.ndarray, gap: float) -> list[str]:
        """Returns the rules that a step, float [14], breaks after the step before.

        Where the command before may have been a new anchor close to the command before it, its step may have been
        counted from either. The step must keep the rules after one of them, for each arm.
        """
        before = self.step.copy()
        for side, steps in self._other_steps.items():
            part = aloha.side_slice(side)
            distances = [np.max(np.abs(step[part] - other)[:-1]) for other in (before[part], *steps)]
            before[part] = (before[part], *steps)[int(np.argmin(distances))]
        return self._broken(step, before, gap)

    def _broken(self, step: np.ndarray, before: np.ndarray, gap: float) -> list[str]:
        """Returns the rules that a step, float [14], breaks for the best of the possible times, about `gap` s."""
        earliest, latest = max(0.0, gap - self._slack), gap + self._slack
        needed = float(np.clip(np.max(np.abs(step) / self._limits.speed), earliest, latest))
        return min((list(self._broken_at(step, before, time)) for time in (gap, needed, earliest, latest)), key=len)

    def _broken_at(self, step: np.ndarray, before: np.ndarray, gap: float) -> Iterator[str]:
        """Yields the rules that a step breaks which follows the step `before` after `gap` s."""
        if gap > MAX_GAP * self._limits.period:
            before = np.zeros(aloha.ACTION_DIM)
        too_fast = np.abs(before) > self._limits.speed * self._limits.period + TOLERANCE  # The speed was lowered.
        slowing = np.where(too_fast, np.abs(before) - self._limits.change, 0.0)
        reach = np.maximum(self._limits.speed * min(gap, self._limits.period), slowing)
        if np.any(np.abs(step) > reach + TOLERANCE):
            yield "over_velocity"
        low = np.clip(before - self._limits.change, -reach, reach)
        high = np.clip(before + self._limits.change, -reach, reach)
        if np.any((step < low - TOLERANCE) | (step > high + TOLERANCE)):
            yield "over_acceleration"

    def _near(self, target: np.ndarray, now: float) -> dict[str, list[np.ndarray]]:
        """Returns the readings of each arm from which a command follows at rest, or nothing where an arm has none."""
        rest = np.minimum(self._limits.change, self._limits.speed * self._limits.period) + TOLERANCE
        found: dict[str, list[np.ndarray]] = {}
        for side in aloha.SIDES:
            part = aloha.side_slice(side)
            found[side] = [
                state
                for arrival, state in self._readings[side]
                if now - arrival <= ANCHOR_WINDOW and np.all(np.abs(target[part] - state) <= rest[part])
            ]
        return found if all(found.values()) else {}

    def _note_jump(self, jump: float) -> None:
        self._counts.anchors += 1
        (self._counts.anchor_jumps if self._is_confirmed else self._counts.free_jumps).append(jump)
        if jump > self._limits.start_jump and not self._is_confirmed:
            self._report("unconfirmed_leaps", f"a motion begins {jump:.3f} rad from the command before")

    def _outside(self, target: np.ndarray, befores: Mapping[str, list[np.ndarray]]) -> list[str]:
        """Returns the rule about range and workspace, if a command breaks it.

        Args:
            target: float [14], the command.
            befores: the poses, float [7], that each arm may have started from. It must keep the rule from one of them.
        """
        for side, starts in befores.items():
            if not any(self._is_inside(side, target[aloha.side_slice(side)], start) for start in starts):
                return ["outside_limits"]
        return []

    def _is_inside(self, side: str, target: np.ndarray, start: np.ndarray) -> bool:
        part = aloha.side_slice(side)
        low = np.minimum(start, aloha.LOWER_LIMITS[part]) - TOLERANCE
        high = np.maximum(start, aloha.UPPER_LIMITS[part]) + TOLERANCE
        if np.any((target < low) | (target > high)):
            return False
        if side not in self._limits.workspaces:
            return True
        before, after = self._limits.workspaces[side].excess(np.stack([start, target]))
        return bool(np.all(after <= np.maximum(before, 0.0) + self._tip_slack))
