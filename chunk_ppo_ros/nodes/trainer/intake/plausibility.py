"""Checks that the numbers of a transition can be true, before anybody relies on it.

`agent/transition_checks.py` checks before that the shapes fit. Numbers that are possible and false are found later:
log-probabilities that are not the policy's make the update fail (`agent/offenders.py`).
"""

from __future__ import annotations

import math

import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig
from chunk_ppo_ros.core.types import ChunkOutcome, RewardTerm, SampledChunk, Transition, total_reward
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.robot.chunk_length import chunk_discount

LARGEST_TARGET = 1000.0
"""The largest |state| and |action|, rad and openings of grippers. No joint gets near it."""
LARGEST_VALUE = 1000.0
"""The largest |value| of a value head without a range, in rewards of the largest size."""
MOST_TERMS = 100
"""The largest number of terms of a reward. Each makes a metric of its own."""
LONGEST_NAME = 200
"""The largest number of characters in the name of a term."""
LARGEST_SHARE = 10.0
"""The largest part of a reward that a term may make, in rewards of the largest size. Terms may cancel each other."""
LONGEST_PROMPT = 10_000
"""The largest number of characters of a prompt in words, which names metrics where a run has several prompts."""
_RELATIVE_ERROR = 1e-4  # of a sum of float32 numbers


def check_plausible(transition: Transition, config: TrainConfig) -> None:
    """Refuses a transition whose reward, values, discount, tokens or targets cannot be true.

    Args:
        transition: a transition whose shapes fit the model.
        config: the configuration of the run.

    Raises:
        ValueError: where a number cannot be true. The text names the field, its value and what it must be.
    """
    chunk = transition.chunk
    _check_terms(transition.outcome.reward_terms, limit=LARGEST_SHARE * config.reward.max_chunk_reward)
    _check_reward(transition.outcome, limit=config.reward.max_chunk_reward)
    discount = chunk_discount(config.ppo, transition.outcome.num_steps)
    if not math.isclose(transition.discount, discount, rel_tol=1e-5, abs_tol=1e-7):
        steps = count_of(transition.outcome.num_steps, "step")
        raise ValueError(f"discount must be {discount:g} after {steps}, got {transition.discount:g}")
    for name, value in (("value", chunk.value), ("next_value", transition.next_value)):
        _check_value(name, value, config)
    _check_targets(chunk)
    _check_tokens(chunk, config.model)


def _check_reward(outcome: ChunkOutcome, *, limit: float) -> None:
    if not abs(outcome.reward) <= limit:
        raise ValueError(
            f"reward must be within -{limit:g}..{limit:g} (reward.max_chunk_reward), got {outcome.reward:g}; raise the "
            "setting where the terms of a chunk may add up to more"
        )
    total = total_reward(outcome.reward_terms)
    size = math.fsum(abs(term.weight * term.value) for term in outcome.reward_terms)
    if not abs(outcome.reward - total) <= _RELATIVE_ERROR * (1.0 + size):
        raise ValueError(f"reward must be the sum of its terms ({total:g}), got {outcome.reward:g}")


def _check_terms(terms: tuple[RewardTerm, ...], *, limit: float) -> None:
    names = [term.name for term in terms]
    if len(terms) > MOST_TERMS:
        raise ValueError(f"a reward must have at most {MOST_TERMS} terms, got {len(terms)}")
    longest = max(map(len, names), default=0)
    if longest > LONGEST_NAME:
        raise ValueError(f"names of terms must have at most {LONGEST_NAME} characters, got {longest}")
    for term in terms:
        if not abs(term.weight * term.value) <= limit:
            share = term.weight * term.value
            raise ValueError(
                f"term '{term.name}' must add at most {limit:g} ({LARGEST_SHARE:g} times reward.max_chunk_reward), got "
                f"{share:g}"
            )


def _check_value(name: str, value: float, config: TrainConfig) -> None:
    model = config.model
    low, high = -LARGEST_VALUE * config.reward.max_chunk_reward, LARGEST_VALUE * config.reward.max_chunk_reward
    source = f"{LARGEST_VALUE:g} times reward.max_chunk_reward"
    if model.value_bins > 1 and value != 0.0:  # 0 stands for no future.
        low, high, source = model.value_min, model.value_max, "model.value_min..value_max"
    if not low <= value <= high:
        raise ValueError(f"{name} must be within {low:g}..{high:g} ({source}), got {value:g}")


def _check_targets(chunk: SampledChunk) -> None:
    for name, numbers in (("actions", chunk.actions), ("observation.state", chunk.observation.state)):
        largest = float(np.max(np.abs(numbers), initial=0.0))
        if not largest <= LARGEST_TARGET:
            raise ValueError(f"{name} must be within -{LARGEST_TARGET:g}..{LARGEST_TARGET:g}, got {largest:g}")


def _check_tokens(chunk: SampledChunk, model: Pi0FASTActorCriticConfig) -> None:
    for name, tokens in (("action_tokens", chunk.action_tokens), ("prompt_tokens", chunk.observation.prompt_tokens)):
        lowest, highest = int(np.min(tokens, initial=0)), int(np.max(tokens, initial=0))
        if lowest < 0 or highest >= model.vocab_size:
            got = lowest if lowest < 0 else highest
            raise ValueError(f"{name} must be within 0..{model.vocab_size - 1} (model.vocab_size), got {got}")
    if len(chunk.source.prompt) > LONGEST_PROMPT:
        raise ValueError(f"a prompt must have at most {LONGEST_PROMPT} characters, got {len(chunk.source.prompt)}")
    if not chunk.human_driven and not np.any(chunk.token_mask):
        raise ValueError("token_mask must name a sampled token where no human drove, got none")
