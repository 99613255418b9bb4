"""Says what a reset that is under way waits for."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Generator


class OnDone(enum.Enum):
    """Lists what the service reset_done does while a step of a reset is under way."""

    FINISH = "the reset is done"
    GO_ON = "the reset goes on with its next step"
    REFUSE = "reset_done is refused, because something moves or runs"


@dataclasses.dataclass(frozen=True)
class ResetStep:
    """One step of a reset, in words.

    Attributes:
        waits_for: what is waited for.
        command: the command by which a person ends the wait; empty where the wait ends by itself.
        on_done: what the service reset_done does now.
    """

    waits_for: str
    command: str = ""
    on_done: OnDone = OnDone.REFUSE


Steps = Generator[ResetStep, None, None]
"""A part of a reset, which yields what it waits for."""
Routine = Generator[ResetStep, None, str]
"""A reset as a generator. It yields what it waits for, and returns why the episode is ready. To close it ends it."""


class ResetStopped(Exception):
    """Says that a reset cannot go on without a person, and why."""
