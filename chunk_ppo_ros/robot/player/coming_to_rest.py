"""Brings the robot to rest after a stop: it brakes, or it gives way to what is in its way."""

from __future__ import annotations

import enum
from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.robot.gate.gate import Gate

YIELDING_SPEED = 0.3
"""The part of robot.max_velocity at which the robot gives way to an obstacle."""


class Rest(enum.Enum):
    """Lists what the robot does to come to rest. No command is left to send in the state DONE."""

    DONE = "it rests, or something is executed"
    BRAKES = "it brakes, and nothing may start before it can rest"
    GLIDES = "it brakes, and the next chunk may start with the speed that is left"
    YIELDS = "it moves to where it was measured, because something is in its way"


class ComingToRest:
    """Gives the commands of a robot that comes to rest, until it is there.

    Args:
        gate: the gate that the commands pass.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._state = Rest.DONE
        self._goal: np.ndarray | None = None  # where the robot gives way to, in the state YIELDS

    @property
    def is_under_way(self) -> bool:
        """Whether commands are left to send."""
        return self._state is not Rest.DONE

    @property
    def yields(self) -> bool:
        """Whether the robot gives way to an obstacle."""
        return self._state is Rest.YIELDS

    @property
    def blocks(self) -> bool:
        """Whether nothing may start yet, because the robot still moves."""
        return self.yields or (self._state is Rest.BRAKES and not self._gate.can_rest)

    def unsettled(self, measured: Callable[[], np.ndarray]) -> str:
        """Returns why no motion may begin yet, or an empty string.

        The robot still brakes, and the motion would begin where the arms are measured, and not at the last command. The
        command would leap there.

        Args:
            measured: returns the measured position, float [14].
        """
        if not self.is_under_way or self._gate.can_rest:
            return ""
        begins_elsewhere = self._gate.starting_point(measured()) is not self._gate.commanded
        return "the robot must come to rest first" if begins_elsewhere else ""

    def leave(self) -> None:
        """Records that the robot moves by what is executed, and no longer comes to rest."""
        self._state, self._goal = Rest.DONE, None

    def brake(self, *, glides: bool = False) -> None:
        """Lets the robot brake. Where it gives way to an obstacle, it goes on with that.

        Args:
            glides: whether the next chunk may start with the speed that is left.
        """
        if not self.yields:
            self._state = Rest.GLIDES if glides else Rest.BRAKES

    def give_way(self, goal: np.ndarray) -> None:
        """Lets a robot that brakes move to a pose, float [14]. A robot that rests does not move."""
        if self.is_under_way:
            self._state, self._goal = Rest.YIELDS, goal

    def stop_yielding(self) -> None:
        """Lets a robot that gives way brake instead, because it must not move at all."""
        if self.yields:
            self._state, self._goal = Rest.BRAKES, None

    def command(self, now: float | None) -> np.ndarray | None:
        """Returns the next command, float64 [14], or None where the robot has come to rest.

        Args:
            now: the time for the gate.
        """
        if not self.is_under_way:
            return None
        if self._goal is None:
            hold = self._gate.stop(now=now).target
            has_ended = self._gate.rests
        else:
            hold = self._gate.send(self._goal, now=now, speed=YIELDING_SPEED).target
            has_ended = self._gate.has_arrived(self._goal, grippers=True)
        if has_ended:
            self.leave()
        return hold
