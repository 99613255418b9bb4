"""Defines the errors of an update that was not made. The parameters before it stay valid."""

from __future__ import annotations

from chunk_ppo_ros.core.errors import UserError


class UpdateError(UserError):
    """An update could not be made. The parameters before it stay valid."""


class LogProbGapError(UpdateError):
    """The log-probabilities recorded while sampling are not those of the parameters that are to be trained.

    Attributes:
        gap: largest |ratio - 1| of a chunk before the first gradient step.
        sequence_number: number of the chunk with the largest gap.
        offenders: the places in the rollout of all chunks whose gap is above the limit or not a number.
    """

    def __init__(self, *, gap: float, limit: float, sequence_number: int, offenders: tuple[int, ...] = ()) -> None:
        super().__init__(
            f"|ratio - 1| before the first gradient step must be at most {limit:g} (ppo.max_logp_gap), "
            f"got {gap:g} in chunk {sequence_number}; the chunk was sampled with other weights, another "
            "temperature, dtype or constraint than the trainer uses, so nothing was trained; with model.dtype bfloat16 "
            "rounding alone makes up to 0.6, so leave ppo.max_logp_gap at 0 there"
        )
        self.gap = gap
        self.sequence_number = sequence_number
        self.offenders = offenders
