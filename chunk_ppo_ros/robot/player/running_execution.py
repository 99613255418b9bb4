"""Records what is sent of a chunk or a segment while it is executed, and makes the result of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.commands import LimitedTarget
from chunk_ppo_ros.robot.measurements import ExecutedStep, Measurer
from chunk_ppo_ros.robot.player.joint_readings import JointReadings, mean


@dataclasses.dataclass
class RunningExecution:
    """Holds what has been sent of the chunk or segment that is being executed.

    Attributes:
        stamp: the stamp of the chunk or segment, ns.
        last_step: the time of the last step, steady s.
        times: the time of each command, ns, by which the duration is counted.
        asked: the target float64 [14] of each step before limiting.
        commanded: the commanded target float64 [14] of each step.
        causes: the limits that changed the target of each step, as the number of a `Cause`.
        max_clamp: the largest change of a target by the limits, rad, or normalized where it is a gripper.
        efforts: the mean |effort| of each step but the last; None where it is unknown.
        measured: the joint positions float64 [14] after each step but the last.
        start_error: how far the arms were from where the motion began, as the largest distance of a joint, rad; None
            before its first command, and where it is not recorded.
    """

    stamp: int
    last_step: float
    times: list[int] = dataclasses.field(default_factory=list)
    asked: list[np.ndarray] = dataclasses.field(default_factory=list)
    commanded: list[np.ndarray] = dataclasses.field(default_factory=list)
    causes: list[int] = dataclasses.field(default_factory=list)
    max_clamp: float = 0.0
    efforts: list[float | None] = dataclasses.field(default_factory=list)
    measured: list[np.ndarray] = dataclasses.field(default_factory=list)
    start_error: float | None = None

    @property
    def num_commands(self) -> int:
        """The number of commands that were sent."""
        return len(self.commanded)

    def record(
        self, asked: np.ndarray, limited: LimitedTarget, readings: JointReadings, *, now: float, time: int
    ) -> None:
        """Records a step that is sent, and what was measured after the step before.

        Args:
            asked: float64 [14], the target before limiting.
            limited: the target within the limits.
            readings: the newest joint states.
            now: the steady time, s.
            time: the time by which the duration is counted, ns.
        """
        if self.commanded:
            self.efforts.append(readings.effort())
            self.measured.append(readings.positions())
        self.asked.append(asked)
        self.commanded.append(limited.target)
        self.times.append(time)
        self.causes.append(int(limited.causes))
        self.max_clamp = max(self.max_clamp, limited.max_clamp)
        self.last_step = now

    def result(
        self, status: Status, message: str, *, readings: JointReadings, period: float, measurer: Measurer
    ) -> ExecutionResult:
        """Returns the result. The newest joint states are those after the last step.

        Args:
            status: how the execution ended.
            message: the reason, or empty.
            readings: the newest joint states.
            period: the control period, s.
            measurer: takes the registered measurements.
        """
        efforts = [*self.efforts, readings.effort()]
        effort = mean(efforts)
        return ExecutionResult(
            status=status,
            num_steps=self.num_commands,
            stamp=self.stamp,
            message=message,
            human_driven=isinstance(self, DrivenSegment),
            max_clamp=self.max_clamp,
            start_error=self.start_error,
            effort=None if effort is None else effort * self.num_commands,
            duration=(self.times[-1] - self.times[0]) / NANOSECONDS + period if self.times else None,
            measurements=measurer.measure(self._steps([*self.measured, readings.positions()], efforts)),
            commanded=np.array(self.commanded, np.float32).reshape(-1, aloha.ACTION_DIM),
            causes=np.array(self.causes, np.uint8),
        )

    def _steps(self, measured: list[np.ndarray], efforts: list[float | None]) -> list[ExecutedStep]:
        """Returns the executed steps.

        Where no step was executed, `measured` and `efforts` have a reading all the same, which is left out.
        """
        return [ExecutedStep(*step) for step in zip(self.asked, self.commanded, measured, efforts, strict=False)]


@dataclasses.dataclass
class PlayedChunk(RunningExecution):
    """Represents a chunk of the policy that is being executed. Its targets are float64 [k, 14]."""

    targets: np.ndarray = dataclasses.field(kw_only=True)


@dataclasses.dataclass
class DrivenSegment(RunningExecution):
    """Represents a segment that a human drives."""
