"""The reward of a chunk: a weighted sum of named terms."""

from __future__ import annotations

import math
from collections.abc import Iterable

from chunk_ppo_ros.types import RewardTerm


def combine(sources: Iterable[Iterable[RewardTerm]]) -> tuple[RewardTerm, ...]:
    """All terms of all sources, in order.

    Raises:
        ValueError: where two terms have one name, or a value or weight is not finite.
    """
    terms: dict[str, RewardTerm] = {}
    for term in (term for source in sources for term in source):
        if term.name in terms:
            raise ValueError(f"a reward term must have a name of its own, got '{term.name}' twice; rename one of them")
        if not math.isfinite(term.value) or not math.isfinite(term.weight):
            raise ValueError(f"reward term '{term.name}' must be finite, got {term.value} with weight {term.weight}")
        terms[term.name] = term
    return tuple(terms.values())


def total(terms: Iterable[RewardTerm]) -> float:
    """The reward: sum of `weight * value` over the terms."""
    return math.fsum(term.weight * term.value for term in terms)
