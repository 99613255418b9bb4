"""The last line of `make chaos`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Closing:
    """The counts of the last line.

    Attributes:
        kills: the number of kills.
        chunks: the number of chunks that the robot executed.
        running_when_robot_died: the chunks that the death of the robot or of the simulator cut.
        lost: the other chunks that nobody trains on.
        trained_twice: the chunks that were trained on more than once.
        weights_equal: whether the replayed updates give the same weights.
    """

    kills: int
    chunks: int
    running_when_robot_died: int
    lost: int
    trained_twice: int
    weights_equal: bool

    @property
    def is_right(self) -> bool:
        """Whether nothing is lost, nothing was trained on twice, and the weights are equal."""
        return not self.lost and not self.trained_twice and self.weights_equal

    def __str__(self) -> str:
        return (
            f"kills={self.kills} chunks={self.chunks} running_when_robot_died={self.running_when_robot_died} "
            f"lost={self.lost} trained_twice={self.trained_twice} weights_equal={str(self.weights_equal).lower()}"
        )
