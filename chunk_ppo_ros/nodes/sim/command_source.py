"""Says what sim_node takes its targets from, which is a stand-in of the drivers that the back end commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

OnTarget = Callable[[np.ndarray], None]
"""Takes a target of both arms, float64 [14], rad and normalized grippers."""


class CommandSource(Protocol):
    """Subscribes to the commands of a back end, and calls an `OnTarget` with each target of all joints.

    Attributes:
        is_ready: whether the back end would move the arms now, as far as it is known.
        pose: where the arms are, float64 [14], where other drivers move them; None where the simulator does.
    """

    @property
    def is_ready(self) -> bool: ...

    @property
    def pose(self) -> np.ndarray | None: ...

    def reset(self, state: np.ndarray) -> None:
        """Forgets the commands so far, because the simulator was reset.

        Args:
            state: float64 [14], where the arms are now, rad and normalized grippers.
        """
