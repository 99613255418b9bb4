"""Holds a command with the step that led to it, what limits made of a target, and where commands may lead."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.core.execution import Cause
from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class Command:
    """Holds a command, and the step that led to it.

    Attributes:
        target: float64 [14], rad and normalized grippers.
        step: float64 [14], this target minus the one before; 0 where the robot was at rest.
    """

    target: np.ndarray
    step: np.ndarray

    @classmethod
    def at_rest(cls, target: np.ndarray) -> Command:
        """Returns the command of a robot that stands still at `target`, float [14]."""
        return cls(np.asarray(target, np.float64), np.zeros(aloha.ACTION_DIM))

    @property
    def rests(self) -> bool:
        """Whether the last step was 0."""
        return not np.any(self.step)


@dataclasses.dataclass(frozen=True)
class Room:
    """Holds the range of the targets that follow. The robot is never so fast that it would overshoot all of them.

    Attributes:
        lowest: float [14], the smallest of the targets that follow, this one among them.
        highest: float [14], the largest of them.
    """

    lowest: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray) -> Room:
        """Returns the room of the targets [k, 14] that are left, k >= 1."""
        return cls(np.min(targets, axis=0), np.max(targets, axis=0))


@dataclasses.dataclass(frozen=True)
class LimitedTarget:
    """Holds a target after limiting.

    Attributes:
        command: the command that may be sent.
        causes: the limits that changed a dimension by more than `CLAMP_TOLERANCE`; empty where none did.
        max_clamp: the largest change of a dimension, rad, or normalized where it is a gripper.
    """

    command: Command
    causes: Cause
    max_clamp: float

    @property
    def target(self) -> np.ndarray:
        """The target of the command, float64 [14]."""
        return self.command.target

    @property
    def clamped(self) -> bool:
        """Whether any dimension was changed by more than `CLAMP_TOLERANCE`."""
        return self.causes != Cause(0)
