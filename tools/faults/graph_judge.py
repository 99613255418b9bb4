"""Judges what robot_node commands and reports, as the nodes around it see it."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable

import numpy as np
from chunk_ppo_msgs.msg import ExecutionResult

from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot import aloha
from faults.counts import Counts, Violation
from faults.stream_check import TOLERANCE, Limits, StreamCheck

TIME_SLACK = 0.02
"""How far the stamp of a command may be from the time that the gate counted by, s. A busy machine delays the stamp."""
LONGEST_DELAY = 0.3
"""The longest time for which a command may be on its way, s."""
TIP_SLACK = 0.002
"""How far the finger tips of a command that is sent may be from those that the gate knows, m."""
STEPS_TO_GIVE_WAY = 60
"""The number of control steps in which a robot that gives way must be at rest."""


class GraphJudge:
    """Counts the commands and results of robot_node.

    Args:
        limits: the limits of robot_node.
    """

    def __init__(self, limits: Limits) -> None:
        self.counts = Counts()
        self._limits = limits
        self._where = "the start of robot_node"
        self._inputs: collections.deque[str] = collections.deque(maxlen=14)
        self._results: dict[int, ExecutionResult] = {}
        self.outstanding: set[int] = set()
        self.statuses: dict[int, int] = {}
        self.human_moves = False
        self.trusts_stamps = True  # whether the clock that stamps the commands is right
        self.num_commands = 0  # since the start of the cell
        self._num_moves_after_end = 0
        self._allowed = limits.ramp_steps
        self._cause: float | None = None
        self._lower: tuple[float, float] | None = None  # a time, and the largest speed of what is sent after it
        self.restart()

    def restart(self) -> None:
        """Forgets the commands before, because robot_node was started anew."""
        self.stream = StreamCheck(self._limits, self.counts, self.report, slack=TIME_SLACK, tip_slack=TIP_SLACK)

    def begin(self, cell: str, where: str) -> None:
        """Begins a cell, which `where` repeats. An operator has looked at the robot."""
        self._where = where
        self._inputs.clear()
        self.note(cell)
        self.num_commands = 0
        self.stream.allow_anchor(confirmed=True)

    def note(self, text: str) -> None:
        """Keeps an input for the report of a broken rule."""
        self._inputs.append(text)

    def report(self, rule: str, text: str) -> None:
        """Counts a broken rule."""
        self.counts.add(Violation(rule, self._where, text, tuple(self._inputs)))

    def sent(self, stamps: Iterable[int]) -> None:
        """Records that halves of chunks of these stamps, ns, were sent, each of which must have a result."""
        new = set(stamps) - set(self._results) - self.outstanding
        self.outstanding |= new
        self.counts.chunks += len(new)

    def cause(self) -> None:
        """Records that the robot must stop from now on."""
        self._cause = time.monotonic()

    def slow_down(self, max_velocity: float) -> None:
        """Judges by a lower speed of the arm joints, rad/s, what is sent from now on, but not what is on its way."""
        self._lower = (time.time(), max_velocity)

    def speed_up(self, max_velocity: float) -> None:
        """Judges by a higher speed of the arm joints from now on, rad/s."""
        self._lower = None
        self.stream.set_max_velocity(max_velocity)

    def on_reading(self, side: str, state: np.ndarray) -> None:
        """Takes the joint states that an arm has, float [7]."""
        self.stream.note_reading(side, state, time.time())

    def on_command(self, target: np.ndarray, stamp: int) -> None:
        """Judges a command, float [14], that was sent at the ROS time `stamp`, ns.

        Where the clock is wrong, commands that follow each other count as sent at the nominal period. The times at
        which they arrive here are those of a busy machine.
        """
        sent, now = stamp * 1e-9, time.time()
        if not self.trusts_stamps:
            next_step = self.stream.sent + self._limits.period
            sent = next_step if now - next_step < LONGEST_DELAY else now
        if self._lower is not None and sent > self._lower[0]:
            self.stream.set_max_velocity(self._lower[1])
            self._lower = None
        self.num_commands += 1
        before, last = self.stream.step, self.stream.last
        is_active = bool(self.outstanding) or self.human_moves
        self.stream.command(target, sent, playing=bool(self.outstanding))
        moves = last is not None and np.any(np.abs(target - last) > TOLERANCE)
        self._num_moves_after_end = 0 if is_active else self._num_moves_after_end + bool(moves)
        if self._num_moves_after_end > self._allowed:
            self.report("moved_after_stop", f"{self._num_moves_after_end} commands after the end of the last motion")
        slower = np.abs(before) - 0.5 * self._limits.change
        if self._cause is not None and np.any((np.abs(self.stream.step) < slower)[aloha.ARM_INDICES]):
            self.counts.hold_ms.append(1e3 * (time.monotonic() - self._cause))
            self._cause = None

    def on_result(self, result: ExecutionResult) -> None:
        """Judges a result. One that is repeated is no second one: robot_node repeats it until its outcome is known."""
        stamp = time_to_ns(result.header.stamp)
        if self._results.get(stamp) == result:
            return
        self.note(f"result {result.status} {result.message[:90]}")
        if stamp in self._results:
            self.report("double_results", f"another result for {stamp}: {result.message[:90]}")
        self._results[stamp] = result
        self.outstanding.discard(stamp)
        self.statuses[stamp] = result.status
        if result.status != ExecutionResult.REFUSED:
            self.stream.allow_anchor(confirmed=False)
            gives_way = "does not follow" in result.message
            self._allowed = STEPS_TO_GIVE_WAY if gives_way else self._limits.ramp_steps

    def finish(self, *, lost: bool) -> None:
        """Ends a cell. Each chunk must have a result, unless the process that had them was killed (`lost`)."""
        self._cause = None
        for stamp in sorted(self.outstanding):
            if not lost:
                self.report("missing_results", f"no result for {stamp}")
        self.outstanding.clear()
