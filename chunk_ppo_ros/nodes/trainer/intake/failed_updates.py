"""Decides which transitions of a failed update are set aside, and when the run pauses instead."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.agent.offenders import Offender
from chunk_ppo_ros.core.errors import UserError

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

    def succeeded(self) -> None:
        """Records that an update was made."""
        self._in_a_row = 0

    @property
    def pauses(self) -> bool:
        """Whether the run pauses, because more than half of too many rollouts in a row cannot be trained on."""
        return self._in_a_row >= MOST_IN_A_ROW
