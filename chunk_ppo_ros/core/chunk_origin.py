"""Says which chunk a trajectory belongs to, in one line of text that a trajectory's header has room for."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ChunkOrigin:
    """Where a trajectory comes from.

    Attributes:
        run_id: identity of the run whose policy made the chunk.
        sequence_number: number of the chunk in its run.
        observation_stamp: ROS time of the oldest sensor reading of the observation that it was made from, ns.
    """

    run_id: str
    sequence_number: int
    observation_stamp: int

    def __str__(self) -> str:
        """Returns the text RUN/NUMBER/STAMP."""
        return f"{self.run_id}/{self.sequence_number}/{self.observation_stamp}"

    @classmethod
    def parse(cls, text: str) -> ChunkOrigin:
        """Returns the origin that `str` made this text of. The run may have a slash in its name.

        Raises:
            ValueError: for any other text.
        """
        run_id, *numbers = text.rsplit("/", 2)
        if not run_id or len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(
                f"header.frame_id must be RUN/NUMBER/STAMP, the run, the number of the chunk and the stamp of its "
                f"observation in ns, got {text!r}; only policy_node may publish trajectories"
            )
        return cls(run_id, int(numbers[0]), int(numbers[1]))
