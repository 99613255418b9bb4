"""Says whether an operator must look at the arms before the next motion begins."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.robot.player.joint_readings import JointReadings

DROPPED = "the motors of an arm have lost their goals, because their torque was off or their driver is new"
"""The reason why the robot waits for an operator after such a loss."""


class OperatorLook:
    """Remembers whether the operator has looked since the last motion, and whether the motors have lost their goals.

    Args:
        readings: the newest joint states.
        needed: whether a robot that lost its goals needs an operator. A simulator does not.
        shadow: whether nothing moves the robot, so that it is never where it was commanded.
    """

    def __init__(self, readings: JointReadings, *, needed: bool, shadow: bool) -> None:
        self._readings = readings
        self._needed = needed
        self._shadow = shadow
        self._has_looked = False  # since the last motion
        self._have_lost_goals = False

    def looked(self) -> None:
        """Records that the operator has seen where the arms are."""
        self._has_looked, self._have_lost_goals = True, False

    def moved(self) -> None:
        """Records that a motion begins."""
        self._has_looked = False

    def lost_goals(self) -> None:
        """Records that the motors no longer hold the last command."""
        self._have_lost_goals = self._needed

    def reason(self, commanded: np.ndarray | None, *, moves: bool) -> str:
        """Returns why the operator must look, or an empty string.

        An arm that is not where it was commanded may have lost its torque, or its joint states may stand still. A
        motion would begin with a leap, unless the operator has looked.

        Args:
            commanded: float64 [14], the last command, or None before the first.
            moves: whether something is executed.
        """
        if self._have_lost_goals:
            return f"{DROPPED}; {self._readings.calls.way_out}"
        if self._shadow or commanded is None or self._has_looked or moves:
            return ""
        return self._readings.strayed(commanded)
