"""Simulates arms that follow their commands with a lag, and a driver that reports them wrongly at times."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha

SLEEP_POSE = np.tile([0.0, -2.05, 1.6, 0.0, -1.87, 0.0, 0.0], 2)
"""ALOHA's sleep pose, whose shoulders are outside their range; rad and normalized grippers."""
MOTOR_SPEED = 3.0
"""The speed of the simulated motors, rad/s."""
SENSOR_FAULTS = (
    "cut",
    "delayed",
    "frozen",
    "stamp_stuck",
    "leap",
    "shifted",
    "minus_pi",
    "zero",
    "nan",
    "future",
)
"""The ways in which the joint states of an arm are wrong."""
UNBELIEVABLE = ("minus_pi", "nan")
"""The faults with which no reading can be right."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """Joint states on their way.

    Attributes:
        side: "left" or "right".
        state: float [7], rad and normalized opening.
        stamp: ROS time, ns.
        fault: how they are wrong, or an empty string.
    """

    side: str
    state: np.ndarray
    stamp: int
    fault: str


class Arms:
    """Two arms that are at times blocked.

    Args:
        random: the source of everything random.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self.pose = np.array(SLEEP_POSE if random.random() < 0.3 else aloha.START_POSE)
        self.pose += random.normal(0.0, 0.02, aloha.ACTION_DIM)
        self._lag = random.uniform(0.01, 0.08)
        self._blocked_for = 0.0
        self._sag = random.normal(0.0, 0.01, aloha.ACTION_DIM)  # how far the weight pulls from the command, rad

    def block(self) -> None:
        """Lets something block the arms for a while."""
        self._blocked_for = self._random.uniform(0.05, 1.5)

    def follow(self, command: np.ndarray | None, dt: float) -> None:
        """Moves the arms toward the last command, float [14], for `dt` seconds."""
        self._blocked_for -= dt
        if command is not None and self._blocked_for < 0.0:
            move = (command + self._sag - self.pose) * (1.0 - np.exp(-dt / self._lag))
            self.pose = self.pose + np.clip(move, -MOTOR_SPEED * dt, MOTOR_SPEED * dt)


class Driver:
    """Reports where an arm is, and has one fault at a time.

    Args:
        side: "left" or "right".
        random: the source of everything random.
    """

    def __init__(self, side: str, random: np.random.Generator) -> None:
        self._side, self._random = side, random
        self.fault = ""
        self._left = 0.0  # the time for which the fault goes on, s
        self._reported = np.zeros(aloha.SIDE_DIM)
        self._stamp = 0
        self._shift = np.zeros(aloha.SIDE_DIM)
        self._waiting: collections.deque[tuple[float, Reading]] = collections.deque()
        self._delay = 0.0

    def break_down(self) -> None:
        """Begins a fault, which lasts from one report to a second."""
        self.fault = str(self._random.choice(SENSOR_FAULTS))
        self._left = self._random.choice([0.0, 0.05, 0.3, 1.0])
        self._shift[:-1] = self._random.normal(0.0, 0.7, aloha.SIDE_DIM - 1)
        self._delay = self._random.uniform(0.05, 0.8)

    def report(self, pose: np.ndarray, *, now: float, clock: int, dt: float) -> list[Reading]:
        """Returns the joint states that arrive now.

        Args:
            pose: float [14], where the arms are.
            now: the steady time, s.
            clock: the ROS time, ns.
            dt: the time since the last report, s.
        """
        reading = self._reading(pose[aloha.side_slice(self._side)] + self._random.normal(0.0, 3e-4, 7), clock)
        delay = self._delay if reading.fault == "delayed" else 0.0
        if reading.fault != "cut":
            self._waiting.append((now + delay, reading))
        self._left -= dt
        if self._left < 0.0:
            self.fault = ""
        return self._due(now)

    def _reading(self, state: np.ndarray, clock: int) -> Reading:
        fault, stamp = self.fault, clock
        if fault == "frozen":
            state = self._reported
        elif fault == "stamp_stuck":
            stamp = self._stamp
        elif fault == "future":
            stamp = clock + 3600 * NANOSECONDS
        elif fault in ("leap", "shifted"):
            state = state + self._shift
            self._shift = -self._shift if fault == "leap" else self._shift
        elif fault in ("minus_pi", "zero", "nan"):
            state = np.full(aloha.SIDE_DIM, {"minus_pi": -np.pi, "zero": 0.0, "nan": np.nan}[fault])
        else:
            self._reported = state
        self._stamp = stamp
        return Reading(self._side, state, stamp, fault)

    def _due(self, now: float) -> list[Reading]:
        due = [reading for arrival, reading in self._waiting if arrival <= now]
        self._waiting = collections.deque(item for item in self._waiting if item[0] > now)
        return due
