"""The record of what the robot did with a chunk. The robot, the simulator, the referee and the transition share it."""

from __future__ import annotations

import dataclasses
import enum
import math

import numpy as np

from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.metrics import Metrics

HUMAN_DRIVES = "a human drives the robot"
"""The beginning of the reason for which robot_node refuses a chunk while a human drives."""


class Status(enum.IntEnum):
    """The ways in which the execution of a chunk can end. The numbers are those of ExecutionResult.msg."""

    EXECUTED = 0
    REFUSED = 1
    FAULT = 2
    TAKEOVER = 3
    CANCELLED = 4
    LIMITED = 5
    INTERRUPTED = 6


class Cause(enum.IntFlag):
    """The reasons why a command differs from the policy's target. The bits are those of ExecutionResult.msg."""

    POSITION = 1
    VELOCITY = 2
    ACCELERATION = 4
    WORKSPACE = 8
    HOLD = 16


CLAMPING_CAUSES = Cause.POSITION | Cause.VELOCITY | Cause.ACCELERATION | Cause.WORKSPACE
"""The causes that make a step count as clamped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExecutionResult:
    """The execution of one chunk, or of one segment that a human drove.

    Times are 0 and arrays are empty where nothing was recorded. Comparisons ignore the arrays.

    Attributes:
        status: how the execution ended.
        num_steps: executed control steps k of the chunk that count, 0..H: those whose targets were sent, and where the
            acceleration is limited those whose targets were passed; 0 where the robot may not have done what it was
            commanded.
        stamp: time stamp of the chunk's trajectories or of the human's segment, ns of ROS time; 0 without ROS.
        end: time when the last executed step ended, ns of ROS time; 0 without ROS.
        message: why the status is not EXECUTED.
        human_driven: whether a human drove the steps.
        max_clamp: largest change that limiting made to a target, rad (grippers: normalized).
        effort: sum over the steps of the mean |effort| of the arm joints, in the driver's unit; None where unknown.
        start_error: largest distance over the arm joints between where the robot stood at the first step and where it
            was meant to start, rad; None where nothing was executed or a human drove.
        duration: time from the first command to one control period after the last, s; None where nothing was executed.
        run_id: identity of the run; empty where the robot does not know it.
        sender: name of the robot in the run; empty where it is not recorded.
        measurements: sums or means over the executed steps by name, as `robot/measurements.py` registers them; NaN
            where a number is not known. Empty where nothing is registered or no step was executed.
        commanded: float32 [n, D], the command of each of n control steps: rad, grippers normalized 0..1.
        causes: uint8 [n], the `Cause` bits of each of these steps; 0 where the policy's target was sent unchanged.
    """

    status: Status
    num_steps: int = 0
    stamp: int = 0
    end: int = 0
    message: str = ""
    human_driven: bool = False
    max_clamp: float = 0.0
    effort: float | None = None
    start_error: float | None = None
    duration: float | None = None
    run_id: str = ""
    sender: str = ""
    measurements: Metrics = dataclasses.field(default_factory=Metrics)
    commanded: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 0), np.float32), compare=False, repr=False
    )
    causes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8), compare=False, repr=False)

    @classmethod
    def nothing(cls, status: Status, message: str, *, stamp: int = 0, end: int = 0) -> ExecutionResult:
        """Returns the result of a chunk without any executed step that counts. `message` says why."""
        return cls(status=status, message=message, stamp=stamp, end=end)

    @classmethod
    def whole(cls, num_steps: int) -> ExecutionResult:
        """Returns the result of a chunk whose `num_steps` steps were all sent. Nothing else is recorded about it."""
        return cls(status=Status.EXECUTED, num_steps=num_steps)

    @property
    def num_clamped_steps(self) -> int:
        """The number of steps in which a target was limited."""
        return int(np.count_nonzero(self.causes & CLAMPING_CAUSES))

    def measurement(self, name: str) -> float:
        """Returns the measurement with this name, for a reward term that cannot do without it.

        Raises:
            RewardError: when it was not taken of this chunk, or is not known.
        """
        value = self.measurements.get(name, math.nan)
        if math.isnan(value):
            known = [known for known, number in self.measurements.items() if not math.isnan(number)]
            raise RewardError(
                f"the measurement '{name}' must be known for each chunk, got {', '.join(known) or 'none'}; install the "
                "package that registers it where the robot or the simulator runs, or leave out the term that reads it"
            )
        return value


WHY_SHADOW = "shadow mode (robot.shadow): nothing moved the robot, so that nothing counts"
"""The message of the result of a chunk in shadow mode."""


def uncounted(result: ExecutionResult) -> ExecutionResult:
    """Returns a result of which no step counts. What was commanded stays in it."""
    return dataclasses.replace(result, num_steps=0)


def shadowed(result: ExecutionResult) -> ExecutionResult:
    """Returns the result of a chunk that nothing moved the robot by. Its commands stay in it, and no step counts.

    A chunk that would have been executed is CANCELLED. Without a step that counts this makes no transition, and is
    neither a fault nor a refusal.
    """
    if result.status in (Status.EXECUTED, Status.LIMITED):
        result = dataclasses.replace(result, status=Status.CANCELLED, message=WHY_SHADOW)
    return uncounted(result)
