"""Judges how the robot stops: how soon after the cause, and that nothing moves after its ramp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.robot import aloha
from faults.counts import Counts
from faults.stream_check import TOLERANCE, Limits, StreamCheck

LATEST_HOLD = 2
"""The number of control steps after a cause within which the robot must decelerate."""


class StopWatch:
    """Looks at each control step after a cause of a stop, and at those in which nothing is executed.

    Args:
        limits: the limits of a step.
        counts: what is found is counted here.
        stream: the judge of the commands.
        report: is called with the name of a broken rule and the numbers.
    """

    def __init__(self, limits: Limits, counts: Counts, stream: StreamCheck, report: Callable[[str, str], None]) -> None:
        self._limits, self._counts, self._stream, self._report = limits, counts, stream, report
        self._cause: tuple[float, str] | None = None
        self._num_steps = 0  # control steps since the cause
        self._is_timed = True
        self._silent_after = -np.inf  # the time of the last command after which an early end was reported
        self._num_idle = 0  # control steps since something was executed last, without those too early for a command
        self._allowed = limits.ramp_steps
        self._max_velocity = float(np.min(limits.speed[aloha.ARM_INDICES]))
        self._way = 0.0  # how far the robot may move to give way, rad

    def cause(self, now: float, reason: str) -> None:
        """Records that the robot must stop from now on. Only the first cause of a moving robot is timed."""
        if self._cause is None and np.any(np.abs(self._stream.step)[aloha.ARM_INDICES] > TOLERANCE):
            self._cause, self._num_steps, self._is_timed = (now, reason), 0, True

    def give_way(self, distance: float) -> None:
        """Lets the robot move to where the blocked arm is, which is `distance` rad away."""
        self._way = distance
        self._allowed = self._steps_to_give_way()

    def set_max_velocity(self, max_velocity: float) -> None:
        """Judges by another largest speed of the arm joints from now on, rad/s. A robot that gives way takes longer."""
        self._max_velocity = max_velocity
        if self._way:
            self._allowed = max(self._allowed, self._num_idle + self._steps_to_give_way())

    def _steps_to_give_way(self) -> int:
        reach = self._max_velocity * self._limits.period
        return 4 * self._limits.ramp_steps + int(np.ceil(2.0 * self._way / reach))

    def step(self, target: np.ndarray | None, now: float, *, playing: bool, leads: bool, on_time: bool) -> None:
        """Judges a control step, before the stream judges its command.

        Args:
            target: float [14], the command of this step, or None.
            now: the steady time, s.
            playing: whether a chunk or segment is executed after this step.
            leads: whether a human may move the robot.
            on_time: whether the step came at the nominal period.
        """
        last, before = self._stream.last, self._stream.step
        since, period = now - self._stream.sent, self._limits.period
        changes = (self._limits.change / (self._limits.speed * period))[aloha.ARM_INDICES]
        is_early = since < period * (1.0 - float(np.min(changes)))  # A step so short must wait for the next.
        is_late = since > 3.0 * period
        if (
            target is None
            and not is_early
            and not is_late
            and self._stream.is_fast
            and self._stream.sent != self._silent_after
        ):
            self._silent_after = self._stream.sent
            self._report("stopped_at_speed", f"no command after a step of {np.round(before, 4).tolist()}")
        must_wait = target is None and is_early
        self._num_idle = 0 if playing or leads else self._num_idle + (not must_wait)
        if playing:
            self._allowed = self._limits.ramp_steps
        if playing or (target is None and not is_early):
            self._way = 0.0
        moves = target is not None and last is not None and bool(np.any(np.abs(target - last) > TOLERANCE))
        if moves and self._num_idle > self._allowed:
            self._report("moved_after_stop", f"{self._num_idle} control steps after the last that was executed")
        if self._cause is not None and last is not None:
            step = np.zeros(aloha.ACTION_DIM) if target is None else target - last
            self._time_hold(step, before, now, on_time=on_time)

    def _time_hold(self, step: np.ndarray, before: np.ndarray, now: float, *, on_time: bool) -> None:
        assert self._cause is not None
        since, reason = self._cause
        self._num_steps += 1
        self._is_timed &= on_time
        slower = np.maximum(np.abs(before) - self._limits.change, 0.0) + TOLERANCE
        if np.all((np.abs(step) <= slower)[aloha.ARM_INDICES]):
            self._cause = None
            if self._is_timed:
                self._counts.hold_ms.append(1e3 * (now - since))
        elif self._num_steps > LATEST_HOLD:
            self._cause = None
            self._report("late_holds", f"no deceleration within {LATEST_HOLD} control steps after: {reason}")
