"""Moves the robot by limited targets: what it executes at present, what it was last commanded, and what it holds.

A chunk of the policy and a segment of a human are executed by the same methods, and never at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.measurements import Measurer
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.running_execution import RunningExecution
from chunk_ppo_ros.robot.safety import TargetLimiter


class MotionExecutor:
    """Executes one chunk or segment at a time.

    Args:
        config: the control rate and the limits.
        readings: the newest joint states.
        report: is called with the result of each execution.

    Raises:
        RegistryError: for a measurement of another package that cannot be used.
    """

    def __init__(self, config: RobotConfig, readings: JointReadings, report: Callable[[ExecutionResult], None]) -> None:
        self._config = config
        self._period = 1.0 / config.control_rate
        self._readings = readings
        self._report = report
        self._limiter = TargetLimiter(config)
        self._measurer = Measurer()
        self._running: RunningExecution | None = None
        self._commanded: np.ndarray | None = None
        self._hold: np.ndarray | None = None

    @property
    def running(self) -> RunningExecution | None:
        """The chunk or segment that is being executed, or None."""
        return self._running

    def begin(self, execution: RunningExecution) -> None:
        """Begins to execute a chunk or segment. A position to hold is no longer sent."""
        self._hold = None
        self._running = execution

    def send(self, running: RunningExecution, target: np.ndarray, *, now: float, stamp: int) -> np.ndarray:
        """Returns the next step of what is being executed, float64 [14], within the limits.

        Args:
            running: what is being executed.
            target: float64 [14], the target that is asked for.
            now: the steady time, s.
            stamp: the ROS time of the step, ns.
        """
        limited = self._limiter.limit(target, running.previous, self._period)
        running.record(target, limited, self._readings, now=now, stamp=stamp)
        self._commanded = limited.target
        return limited.target

    def follow(self, target: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Returns a step from `held` that is not recorded, float64 [14], within the limits."""
        self._hold = None  # The robot leaves the position that it held.
        self._commanded = self._limiter.limit(target, held, self._period).target
        return self._commanded

    def finish(self, status: Status, message: str) -> None:
        """Ends what is being executed, and reports its result. The motors hold the last command."""
        done, self._running = self._running, None
        if done is not None:
            self._report(
                done.result(status, message, readings=self._readings, period=self._period, measurer=self._measurer)
            )

    def stop(self, status: Status, reason: str) -> None:
        """Ends what is being executed, if anything is. The robot holds its position.

        The next motion starts from the measured position.
        """
        if self._running is None:
            return
        self._hold = self._limiter.limit(self._running.previous, self._running.previous, self._period).target
        self.finish(status, reason)
        self._commanded = None

    def hand_over(self, status: Status, reason: str) -> None:
        """Stops like `stop`, and remembers the held position, from which the policy or the human starts next."""
        previous = self._running.previous if self._running is not None else self._commanded
        self.stop(status, reason)
        self._commanded = previous

    def forget_command(self) -> None:
        """Lets the next motion start from the measured position."""
        self._commanded = None

    def take_hold(self) -> np.ndarray | None:
        """Returns the position to hold, float64 [14], once after a stop, and then None."""
        hold, self._hold = self._hold, None
        return hold

    def starting_point(self) -> np.ndarray:
        """Returns the position from which the first step's speed is limited, float [14].

        It is the last command, because the motors hold it between two chunks and the measured position only lags behind
        it. It is the measured position where there is no command, or where the two lie too far apart.
        """
        measured = self._readings.positions()
        if self._commanded is None:
            return measured
        lag = np.abs(self._commanded - measured)[aloha.ARM_INDICES]
        return self._commanded if np.all(lag <= self._config.max_start_jump) else measured

    def held(self, *, follows_leader: bool) -> np.ndarray:
        """Returns the position that the motors hold, float [14].

        While a leader is followed it is the last command. Otherwise it is found as at the start of a chunk, because
        people may have moved the arms meanwhile, or the arms may have lost their power.
        """
        if follows_leader and self._commanded is not None:
            return self._commanded
        return self.starting_point()

    def overdue(self, now: float) -> str | None:
        """Returns which arm's joint states are too old while something is executed, or None."""
        if self._running is None:
            return None
        return self._readings.overdue(now, last_step=self._running.last_step)
