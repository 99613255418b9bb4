"""What goes into the chunk player and what comes out of it."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np


class Status(enum.IntEnum):
    """How the execution of a chunk ended; the numbers are those of ExecutionResult.msg."""

    EXECUTED = 0
    REFUSED = 1
    FAULT = 2
    TAKEOVER = 3
    CANCELLED = 4


@dataclasses.dataclass(frozen=True)
class ArmTrajectory:
    """One arm's half of a chunk.

    Attributes:
        stamp: joins the two halves, ns.
        times: float [k], time of each step since the start of the chunk, s.
        positions: float [k, 7], rad and normalised gripper.
    """

    stamp: int
    times: np.ndarray
    positions: np.ndarray


@dataclasses.dataclass(frozen=True)
class ExecutionRecord:
    """What became of one pair of trajectories; fields as in ExecutionResult.msg."""

    stamp: int
    status: Status
    num_steps: int = 0
    num_clamped_steps: int = 0
    max_clamp: float = 0.0
    message: str = ""
