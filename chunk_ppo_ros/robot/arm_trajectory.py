"""Defines one arm's half of a chunk, as the chunk player takes it."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ArmTrajectory:
    """Holds one arm's half of a chunk.

    Attributes:
        stamp: the stamp that the two halves of a chunk share, ns of ROS time.
        times: float [k], the time of each step since the start of the chunk, s.
        positions: float [k, 7], the targets of the six joints, rad, and of the gripper, normalized.
    """

    stamp: int
    times: np.ndarray
    positions: np.ndarray
