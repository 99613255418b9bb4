"""Decides which transitions of a failed update are set aside, and when the run pauses instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.offenders import BLAMED, Offender
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Transition

MOST_IN_A_ROW = 2
"""The number of rollouts in a row of which more than half cannot be trained on, at which the run pauses."""


class UpdateFailed(UserError):
    """An update was not made, and everything is as it was.

    Attributes:
        offenders: the transitions because of which it was not made; none where no transition is to blame.
    """

    def __init__(self, error: Exception, offenders: tuple[Offender, ...]) -> None:
        super().__init__(str(error))
        self.offenders = offenders


def updated(
    learner: Learner, transitions: Sequence[Transition], *, progress: Callable[[int, int], object] | None
) -> Metrics:
    """Makes an update and returns its metrics.

    Raises:
        UpdateFailed: when the update is not made, with the transitions that are to blame.
    """
    try:
        return learner.update(transitions, progress=progress)
    except (UserError, *BLAMED) as error:
        raise UpdateFailed(error, learner.offenders(error, transitions)) from error


class FailedUpdates:
    """Counts updates that failed because of their transitions.

    A few bad transitions are set aside, and the rollout is filled up again. Where more than half of two rollouts in a
    row cannot be trained on, the settings of the nodes differ, and more chunks would only be wasted.

    Args:
        num_required: the number of transitions that make an update.
    """

    def __init__(self, num_required: int) -> None:
        self._num_required = num_required
        self._in_a_row = 0

    def to_set_aside(self, failure: UpdateFailed) -> Sequence[Offender]:
        """Returns the transitions to set aside after a failed update; none where the run pauses."""
        if not failure.offenders:
            return ()
        self._in_a_row = self._in_a_row + 1 if 2 * len(failure.offenders) > self._num_required else 0
        return failure.offenders if self._in_a_row < MOST_IN_A_ROW else ()

    def begin_anew(self) -> None:
        """Forgets the failures, because an update was made or an operator has mended the settings."""
        self._in_a_row = 0

    @property
    def why_paused(self) -> str:
        """The beginning of a sentence that says why the run pauses; empty where it does not pause because of that."""
        if self._in_a_row < MOST_IN_A_ROW:
            return ""
        return f"more than half of the transitions of {self._in_a_row} rollouts in a row cannot be trained on: "
