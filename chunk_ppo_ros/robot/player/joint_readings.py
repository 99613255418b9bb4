"""Keeps the newest joint states of both arms, and says why it is not known where the robot stands.

`now` is the time of a steady clock in s. Stamps are ROS times in ns.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Holds an arm's newest joint states, with their stamp (ns), their arrival (steady s) and the mean |effort|."""

    stamp: int
    arrival: float
    state: np.ndarray
    effort: float | None


class JointReadings:
    """Keeps one reading of each arm. A reading whose stamp is repeated is ignored, and the arm counts as silent.

    Args:
        timeout: the age of joint states, s, beyond which they are too old.
        on_demand: whether joint states come only in answer to a step (lockstep). Then their age counts from the last
            step, and it does not matter while the robot is idle.
    """

    def __init__(self, *, timeout: float, on_demand: bool) -> None:
        self._timeout = timeout
        self._on_demand = on_demand
        self._readings: dict[str, _Reading] = {}

    @property
    def stamps(self) -> dict[str, int]:
        """The stamp of the newest joint states of each arm that has sent any, ns."""
        return {side: reading.stamp for side, reading in self._readings.items()}

    def observe(self, side: str, state: np.ndarray, *, stamp: int, now: float, effort: float | None) -> None:
        """Takes an arm's joint states, float [7], and its mean |effort|, which is None where it is unknown."""
        known = self._readings.get(side)
        if known is None or stamp != known.stamp:
            self._readings[side] = _Reading(stamp, now, state, effort)

    def positions(self) -> np.ndarray:
        """Returns the newest joint positions of both arms, float64 [14]. Both must have sent joint states."""
        return np.concatenate([self._readings[side].state for side in aloha.SIDES])

    def effort(self) -> float | None:
        """Returns the mean |effort| of both arms after the last step, or None where one is unknown."""
        return mean([reading.effort for reading in self._readings.values()])

    def blind(self, now: float) -> str | None:
        """Returns why it is not known where the robot stands, or None where it is known."""
        for side in aloha.SIDES:
            if side not in self._readings:
                return f"joint states of the {side} arm must have come before a chunk; check its driver"
        return None if self._on_demand else self.overdue(now, last_step=-math.inf)

    def overdue(self, now: float, *, last_step: float) -> str | None:
        """Returns which arm's joint states are too old, if any.

        Args:
            now: the steady time, s.
            last_step: the steady time of the last step, s, from which the age counts where states come on demand.
        """
        asked = last_step if self._on_demand else -math.inf
        for side in aloha.SIDES:
            silence = now - max(self._readings[side].arrival, asked)
            if silence > self._timeout:
                return f"no joint states of the {side} arm for {silence:.2f} s, longer than {self._timeout} s"
        return None


def mean(values: list[float | None]) -> float | None:
    """Returns the mean of the values, or None where one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
