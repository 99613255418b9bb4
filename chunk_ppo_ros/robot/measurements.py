"""Measures the executed steps of a chunk, for reward terms. The robot and the script form call the same functions.

A measurement is a function that takes all executed steps of a chunk and returns one number, such as a sum or a mean
over the steps. Its docstring says the unit. The number is NaN where it is not known, for example without efforts. A
measurement of this package is a function of this module and a line in `MEASUREMENTS`. Another package adds one by an
entry point of the group `chunk_ppo_ros.measurements`. Every registered measurement is taken of every chunk. A reward
term reads it from `ExecutionResult.measurements`.

On the robot the function runs between two control steps, so it must take much less than a control period. Where it
raises, the measurement is NaN and the reason is logged.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence

import numpy as np

from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.own_parts.registered_functions import number_of
from chunk_ppo_ros.core.registry import Registry

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ExecutedStep:
    """Holds what is known of one executed control step. Its arrays are read-only, because the robot uses them too.

    Attributes:
        target: float [14], the target that the policy or the human asked for, rad, grippers normalized.
        commanded: float [14], what was sent, which is the target within the limits.
        measured: float [14], the joint positions after the step. On the robot they are the newest ones when the next
            step begins or the chunk ends.
        effort: the mean |effort| of the arm joints, read with `measured`, in the driver's unit; None where unknown.
    """

    target: np.ndarray
    commanded: np.ndarray
    measured: np.ndarray
    effort: float | None

    def __post_init__(self) -> None:
        for name in ("target", "commanded", "measured"):
            view = getattr(self, name).view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)


Measurement = Callable[[Sequence[ExecutedStep]], float]

MEASUREMENTS: Registry[Measurement] = Registry(
    "the measurement", group="chunk_ppo_ros.measurements", own={}, attributes=("__call__",)
)
"""The registered measurements. This package has none of its own."""


class Measurer:
    """Takes all registered measurements of chunks."""

    def __init__(self) -> None:
        """Imports the measurements, so that one that cannot be imported is refused before anything moves.

        Raises:
            RegistryError: for a package whose measurement cannot be imported, or a name that two packages use.
        """
        self._measurements = {name: MEASUREMENTS.get(name) for name in MEASUREMENTS.names()}

    def measure(self, steps: Sequence[ExecutedStep]) -> Metrics:
        """Returns each measurement of the executed steps of a chunk by its name.

        The result is empty where no step was executed. A measurement that raises or returns no number is NaN, and the
        reason is logged: it may belong to another package and must not stop the robot's node.
        """
        if not steps:
            return Metrics()
        return Metrics({name: _value(name, function, steps) for name, function in self._measurements.items()})


def _value(name: str, function: Measurement, steps: Sequence[ExecutedStep]) -> float:
    try:
        return number_of(f"{MEASUREMENTS.what} {name}", function, steps)
    except RewardError as error:
        _log.exception("%s", error)
        return math.nan
