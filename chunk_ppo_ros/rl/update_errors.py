"""Why an update was not made; the parameters that went in are still good."""

from __future__ import annotations

from chunk_ppo_ros.core.errors import UserError


class UpdateError(UserError):
    """An update could not be made; the parameters that went in are still good."""


class LogProbGapError(UpdateError):
    """The log-probs recorded while sampling are not those of the parameters that are to be trained.

    Attributes:
        gap: largest |ratio - 1| of a chunk before the first gradient step.
        sequence_number: of the chunk in which it is.
    """

    def __init__(self, *, gap: float, limit: float, sequence_number: int) -> None:
        super().__init__(
            f"|ratio - 1| before the first gradient step must be at most {limit:g} (ppo.max_logp_gap), "
            f"got {gap:g} in chunk {sequence_number}; the chunk was sampled with other weights, another "
            "temperature, dtype or constraint than the trainer uses, so nothing was trained"
        )
        self.gap = gap
        self.sequence_number = sequence_number
