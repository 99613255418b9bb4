"""Decides which chunk gets the operator's feedback."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.chunk_join import ChunkJoin
from chunk_ppo_ros.rewards.human import with_feedback


@dataclasses.dataclass(frozen=True)
class Credit:
    """Says which chunk got the feedback.

    Attributes:
        id: the identity of the chunk; None where the feedback came too late.
        reward_change: the change of a reward that was known already.
        amended: the outcome with the feedback, where it was known already.
    """

    id: ChunkId | None
    reward_change: float = 0.0
    amended: ChunkOutcome | None = None


def credit_feedback(
    value: float,
    *,
    join: ChunkJoin,
    assembler: TransitionAssembler,
    last: ChunkId | None,
    config: RewardConfig,
) -> Credit:
    """Gives feedback to the chunk that runs, or to the last chunk where its transition is not sent yet.

    Args:
        value: the feedback, a finite number.
        join: the chunks whose outcome is not known yet. The newest of them runs.
        assembler: the chunks whose transition is not complete yet.
        last: the last valid chunk of the running episode.
        config: the settings with the weight of feedback.
    """
    running = join.add_feedback(value)
    if running is not None:
        return Credit(running)
    if last is None:
        return Credit(None)
    changed = assembler.amend_outcome(last, lambda outcome: with_feedback(outcome, value, config))
    if changed is None:
        return Credit(None)
    before, after = changed
    return Credit(last, after.reward - before.reward, after)
