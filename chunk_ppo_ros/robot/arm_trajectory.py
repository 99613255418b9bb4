"""One arm's half of a chunk, as the chunk player takes it."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ArmTrajectory:
    """One arm's half of a chunk.

    Attributes:
        stamp: joins the two halves, ns.
        times: float [k], time of each step since the start of the chunk, s.
        positions: float [k, 7], rad and normalized gripper.
    """

    stamp: int
    times: np.ndarray
    positions: np.ndarray
