"""What goes into the chunk player and what comes out of it."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

from chunk_ppo_ros.robot import aloha


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
    """What became of one pair of trajectories or of a human's segment; fields as in ExecutionResult.msg.

    `commanded` is float32 [num_steps, 14]; comparisons leave it out.
    """

    stamp: int
    status: Status
    num_steps: int = 0
    num_clamped_steps: int = 0
    max_clamp: float = 0.0
    effort: float | None = None
    message: str = ""
    human: bool = False
    commanded: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, aloha.ACTION_DIM), np.float32), compare=False, repr=False
    )
