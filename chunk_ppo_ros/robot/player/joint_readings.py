"""Keeps the newest joint states of both arms that are believed, and says why it is not known where the robot stands.

`now` is the time of a steady clock in s. Stamps are ROS times in ns.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.reading_trust import ReadingTrust
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Holds an arm's newest joint states, with their stamp (ns), their arrival (steady s) and the mean |effort|."""

    stamp: int
    arrival: float
    state: np.ndarray
    effort: float | None


class JointReadings:
    """Keeps one reading of each arm. A reading whose stamp is not new is not used, and the arm counts as silent.

    It still stops the arm where it cannot be right, because it shows that the driver fails.

    Args:
        timeout: the age of joint states, s, beyond which they are too old.
        on_demand: whether joint states come only in answer to a step (lockstep). Then their age counts from the last
            step, and it does not matter while the robot is idle.
        rule: says which joint states are believed. The others are not kept.
    """

    def __init__(self, *, timeout: float, on_demand: bool, rule: TrustRule) -> None:
        self._timeout = timeout
        self._max_age = rule.max_age
        self.calls = rule.calls
        """The command lines that texts for the operator name."""
        self._on_demand = on_demand
        self._trust = {side: ReadingTrust(side, rule) for side in aloha.SIDES}
        self._stamps: dict[str, int] = {}  # the stamp of each arm's newest joint states, believed or not
        self._readings: dict[str, _Reading] = {}

    @property
    def stamps(self) -> dict[str, int]:
        """The stamp of the newest joint states of each arm that has sent any, ns."""
        return {side: reading.stamp for side, reading in self._readings.items()}

    @property
    def doubt(self) -> str:
        """The reasons why joint states of the arms are not believed; empty where they are."""
        return "; ".join(trust.doubt for trust in self._trust.values() if trust.doubt)

    def observe(
        self,
        side: str,
        state: np.ndarray,
        *,
        stamp: int,
        now: float,
        effort: float | None,
        commanded: np.ndarray | None,
        age: float = 0.0,
    ) -> None:
        """Takes an arm's joint states.

        Args:
            side: "left" or "right".
            state: float [7], rad and normalized opening.
            stamp: the ROS time of the joint states, ns.
            now: the steady time, s.
            effort: the mean |effort| of the arm, or None where it is unknown.
            commanded: float [7], the last command for the arm, or None before the first.
            age: the ROS time of their arrival minus the stamp, s.
        """
        if not self._is_new(side, stamp, age):
            self._trust[side].judge_out_of_order(state, commanded=commanded)
            return
        self._stamps[side] = stamp
        if self._trust[side].judge(state, stamp=stamp, now=now, commanded=commanded, age=age):
            self._readings[side] = _Reading(stamp, now, state, effort)

    def _is_new(self, side: str, stamp: int, age: float) -> bool:
        """Returns whether a stamp is another one than the newest, and not one that came in the wrong order.

        Where a stamp or the newest one is far from this clock, they say nothing about the order.
        """
        newest = self._stamps.get(side)
        if newest is None or stamp == newest:
            return newest is None
        ahead = (newest - stamp) / NANOSECONDS - age  # how far the newest is ahead of this clock, s
        in_time = max(ahead, abs(age)) <= self._max_age
        return stamp > newest or not in_time or math.isinf(self._max_age)

    def strayed(self, commanded: np.ndarray) -> str:
        """Returns which arm is so far from its last command that the operator must look, or an empty string.

        Args:
            commanded: float [14], the last command.
        """
        texts = (
            self._trust[side].question(self._readings[side].state, commanded[aloha.side_slice(side)])
            for side in aloha.SIDES
        )
        return "; ".join(text for text in texts if text)

    def confirm(self) -> None:
        """Records that the operator lets the arms start from where they stand."""
        for trust in self._trust.values():
            trust.confirm()

    def positions(self) -> np.ndarray:
        """Returns the newest joint positions of both arms, float64 [14]. Both must have sent joint states."""
        return np.concatenate([self._readings[side].state for side in aloha.SIDES])

    def effort(self) -> float | None:
        """Returns the mean |effort| of both arms after the last step, or None where one is unknown."""
        return mean([reading.effort for reading in self._readings.values()])

    def blind(self, now: float) -> str | None:
        """Returns why it is not known where the robot stands, or None where it is known."""
        if self.doubt:
            return self.doubt
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
