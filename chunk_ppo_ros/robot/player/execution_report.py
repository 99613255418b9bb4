"""Makes the result of what was executed, and says which of its steps count."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status, shadowed, uncounted
from chunk_ppo_ros.robot.gate.gate import Gate
from chunk_ppo_ros.robot.measurements import Measurer
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk, RunningExecution
from chunk_ppo_ros.robot.player.scripted_motion import MotionEnd, ScriptedMotion


class ExecutionReport:
    """Reports each chunk and segment when it has ended.

    Args:
        config: the control rate, and whether nothing moves the robot.
        gate: counts the targets that were passed.
        readings: the newest joint states.
        report: is called with each result.

    Raises:
        RegistryError: for a measurement of another package that cannot be used.
    """

    def __init__(
        self,
        config: RobotConfig,
        gate: Gate,
        readings: JointReadings,
        report: Callable[[ExecutionResult], None],
    ) -> None:
        self._period = 1.0 / config.control_rate
        self._shadow = config.shadow
        self._gate = gate
        self._readings = readings
        self._report = report
        self._measurer = Measurer()

    def end(self, done: RunningExecution, status: Status, message: str, *, counts: bool) -> None:
        """Reports what has ended. The result of a scripted motion is in the motion itself.

        Args:
            done: what was executed.
            status: how it ended.
            message: the reason, or empty.
            counts: whether the steps that were sent count.
        """
        if isinstance(done, ScriptedMotion):
            done.end = MotionEnd(status, message)
            return
        result = done.result(status, message, readings=self._readings, period=self._period, measurer=self._measurer)
        if isinstance(done, PlayedChunk):
            passed = self._gate.num_passed(done.targets, done.commanded)
            result = dataclasses.replace(result, num_steps=passed)
        self._report(shadowed(result) if self._shadow else result if counts else uncounted(result))
