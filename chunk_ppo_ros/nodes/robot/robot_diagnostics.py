"""Makes the status that robot_node publishes on /diagnostics."""

from __future__ import annotations

import collections

from diagnostic_msgs.msg import DiagnosticStatus

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import age_of, age_values
from chunk_ppo_ros.nodes.common.status.diagnostics import Value, key_values
from chunk_ppo_ros.robot import aloha

PLAYER_STATUS = "robot_node: chunk player"
"""The name of the status of the chunk player."""


class RobotDiagnostics:
    """Counts results, and remembers the last result and the arms whose joint states cannot be used."""

    def __init__(self) -> None:
        self._counts: collections.Counter[Status] = collections.Counter()
        self._num_steps = 0
        self._num_clamped_steps = 0
        self._num_holds = 0  # how often the safety layer has stopped the robot
        self._last: ExecutionResult | None = None
        self._bad_states: dict[str, str] = {}
        # the stamps of the newest joint states, ns; a follower is told before any, a leader only where there is one
        self._stamps: dict[str, int | None] = {f"{side} arm": None for side in aloha.SIDES}

    def note_result(self, result: ExecutionResult) -> None:
        """Counts the result of a chunk."""
        self._counts[result.status] += 1
        self._num_holds += result.status in (Status.FAULT, Status.INTERRUPTED)
        self._num_steps += result.num_steps
        self._num_clamped_steps += result.num_clamped_steps
        self._last = result

    def note_bad_states(self, arm: str, reason: str) -> None:
        """Stores why an arm's joint states are not used."""
        self._bad_states[arm] = reason

    def note_good_states(self, arm: str) -> None:
        """Forgets what was wrong with an arm's joint states."""
        self._bad_states.pop(arm, None)

    def note_stamp(self, arm: str, stamp: int) -> None:
        """Stores the stamp, ns, of the newest joint states of an arm, such as "left arm" or "left leader"."""
        self._stamps[arm] = stamp

    def status(
        self,
        *,
        playing: bool,
        suspended: str,
        arms: tuple[str, ...],
        human: bool,
        problem: str,
        obstacle: str = "",
        start_wait: str = "",
        is_starting: bool = False,
        waits: str = "",
        leaders: str = "",
        now: int,
    ) -> DiagnosticStatus:
        """Returns the node's state.

        Args:
            playing: whether a chunk is being executed.
            suspended: why no chunk may be played, or empty.
            arms: the arms that have sent joint states.
            human: whether a human drives.
            problem: why an arm does not follow its leader, or what the human who drives is asked for; or empty.
            obstacle: why the robot must not move or cannot, or empty.
            start_wait: that drivers are waited for, where the obstacle is nothing else in the usual time after a start;
                empty otherwise.
            is_starting: whether the node was started so lately that joint states may be missing.
            waits: why the arms must be looked after before the robot moves, or empty.
            leaders: what the leaders do, and what is waited for, or empty where it is not told.
            now: the ROS time, ns, for the ages of the joint states.
        """
        if start_wait and not self._bad_states:
            level, message = DiagnosticStatus.WARN, start_wait
        else:
            level, message = self._summary(
                playing, suspended, arms, obstacle=obstacle, is_starting=is_starting, waits=waits
            )
        if human and level == DiagnosticStatus.OK:
            level = DiagnosticStatus.WARN if problem else level
            message = f"a human drives; {problem}" if problem else "a human drives"
        elif human and level == DiagnosticStatus.WARN and problem not in ("", suspended):
            message = f"a human drives; {problem}"
        values: dict[str, Value] = {f"chunks_{status.name.lower()}": self._counts[status] for status in Status}
        values |= {"num_steps": self._num_steps, "num_clamped_steps": self._num_clamped_steps}
        values |= {"num_holds": self._num_holds, "waits for": waits or suspended or obstacle, "human_drives": human}
        if leaders:
            values["leaders"] = leaders
        if self._last is not None:
            values["last_result"] = f"{self._last.status.name} {self._last.message}".strip()
        values |= age_values(age_of(arm, stamp, now=now) for arm, stamp in sorted(self._stamps.items()))
        return DiagnosticStatus(
            level=level,
            name=PLAYER_STATUS,
            message=message,
            values=key_values(values),
        )

    def _summary(
        self, playing: bool, suspended: str, arms: tuple[str, ...], *, obstacle: str, is_starting: bool, waits: str
    ) -> tuple[bytes, str]:
        if obstacle:
            return DiagnosticStatus.ERROR, f"the robot does not move: {obstacle}"
        if self._bad_states:
            bad = "; ".join(f"{arm} arm: {reason}" for arm, reason in sorted(self._bad_states.items()))
            return DiagnosticStatus.ERROR, f"joint states cannot be used: {bad}"
        missing = [side for side in aloha.SIDES if side not in arms]
        if missing:
            level = DiagnosticStatus.WARN if is_starting else DiagnosticStatus.ERROR
            return level, f"waits for joint states, which have not come yet of: {', '.join(missing)}"
        if waits:
            return DiagnosticStatus.ERROR, f"the robot does not move: {waits}"
        if self._last is not None and self._last.status in (Status.FAULT, Status.INTERRUPTED) and not playing:
            return DiagnosticStatus.ERROR, f"stopped: {self._last.message}"
        if suspended:
            return DiagnosticStatus.WARN, f"suspended: {suspended}"
        return DiagnosticStatus.OK, "playing" if playing else "idle"
