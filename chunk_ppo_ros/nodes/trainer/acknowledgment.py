"""Defines the answer to one transition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from chunk_ppo_msgs import msg


@dataclasses.dataclass(frozen=True)
class Acknowledgment:
    """The content of an acknowledgment, which is sent to the sender of a transition.

    Attributes:
        status: one of the constants of TransitionAck.
        reason: why the transition is not accepted, or empty if it is.
    """

    status: int
    reason: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether the transition is accepted now, and was not before."""
        return self.status == msg.TransitionAck.ACCEPTED

    @property
    def is_refusal(self) -> bool:
        """Whether the transition is refused for good, and not because it is here already or was discarded."""
        return self.status in (msg.TransitionAck.REFUSED_VERSION, msg.TransitionAck.REFUSED_INVALID)


Answer = Callable[[Acknowledgment], None]
"""The type of what is called with the answer to a transition, when the answer may be given."""
