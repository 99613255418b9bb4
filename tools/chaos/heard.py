"""What the listener tells of a message, as one line of JSON."""

from __future__ import annotations

import dataclasses
import json

NONE = -1
"""The value of a number that a message does not have."""

NEVER = 0.0
"""The time of a message that the listener did not hear, but that a store holds."""


@dataclasses.dataclass(frozen=True)
class Heard:
    """A message that the listener heard.

    Attributes:
        topic: the topic, one of those of `listener.py`.
        time: the wall clock when it was heard, s.
        stamp: the stamp of its chunk, ns of ROS time.
        number: the sequence number of its chunk.
        version: the policy version.
        status: the status of a result or of an acknowledgment, or what an episode event is.
        steps: the executed control steps of a result.
        valid: whether a chunk can be trained on, as its outcome says.
        value: the value of a chunk or of a bootstrap, in units of reward.
        count: the chunks that ran when the robot died, as reward_node counts them.
        text: the reason that a result or an outcome gives.
    """

    topic: str
    time: float
    stamp: int = NONE
    number: int = NONE
    version: int = NONE
    status: int = NONE
    steps: int = NONE
    valid: bool = True
    value: float = 0.0
    count: int = NONE
    text: str = ""

    def line(self) -> str:
        """Returns the message as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def of_line(cls, line: str) -> Heard:
        """Returns the message that a line tells."""
        return cls(**json.loads(line))
