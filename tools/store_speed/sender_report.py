"""What a sender of transitions tells at its end."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class SenderReport:
    """The counts of one sender.

    Attributes:
        accepted: the number of transitions that trainer_node has acknowledged.
        resent: the number of messages that were sent again.
        refused: the texts of refusals.
        delays: the time from the first sending of each transition to its acknowledgment, s.
        late: how long after its time the last transition was sent first, s.
    """

    accepted: int = 0
    resent: int = 0
    refused: list[str] = dataclasses.field(default_factory=list)
    delays: list[float] = dataclasses.field(default_factory=list)
    late: float = 0.0
