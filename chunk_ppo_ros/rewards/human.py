"""Adds to outcomes what the operator says: marks at the end of an episode, and numbers at any time."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.types import ChunkOutcome, RewardTerm
from chunk_ppo_ros.rewards.term_names import FEEDBACK, HUMAN_SUCCESS
from chunk_ppo_ros.rewards.terms import with_term


def marked(outcome: ChunkOutcome, *, success: bool, config: RewardConfig) -> ChunkOutcome:
    """Returns the outcome of a chunk with which, the operator says, the episode ended.

    The term `human_success` is 1 for a success and 0 for a failure.
    """
    ended = dataclasses.replace(outcome, terminated=True, truncated=False, success=success)
    return with_term(ended, RewardTerm(HUMAN_SUCCESS, float(success), config.human_success_weight))


def with_feedback(outcome: ChunkOutcome, value: float, config: RewardConfig) -> ChunkOutcome:
    """Returns the outcome with `value` added to its term `feedback`."""
    known = sum(term.value for term in outcome.reward_terms if term.name == FEEDBACK)
    return with_term(outcome, RewardTerm(FEEDBACK, known + value, config.feedback_weight))
