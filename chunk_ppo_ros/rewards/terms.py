"""Computes the reward of a chunk as a weighted sum of named terms, for the script form and for the graph.

Terms come from the reward sources, from what was executed (penalties and registered terms) and from the
operator. In the trainer they also come from the novelty of the observations (`agent/novelty.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.registry import check_short_names
from chunk_ppo_ros.core.types import ChunkOutcome, RewardTerm, total_reward
from chunk_ppo_ros.rewards import term_names
from chunk_ppo_ros.rewards.execution_terms import EXECUTION_TERMS, execution_terms
from chunk_ppo_ros.rewards.penalties import penalties


def check_settings(config: RewardConfig) -> None:
    """Refuses settings that name wrong terms, before a chunk is executed.

    Raises:
        RewardError: for a factor on a term that has its own setting.
        RegistryError: for a term of `reward.execution_terms` that no package registers or that cannot be imported, or
            two terms whose names are equal without their modules.
    """
    for name in config.factors:
        if name in term_names.OWN:
            raise RewardError(
                f"reward.term_weights must name terms of sources, got '{name}'; it has a setting of its own, see "
                "docs/rewards.md"
            )
    check_short_names(EXECUTION_TERMS.what, config.execution_weights)
    for name in config.execution_weights:
        EXECUTION_TERMS.get(name)


def chunk_terms(
    sources: Iterable[Iterable[RewardTerm]], execution: ExecutionResult, actions: np.ndarray, config: RewardConfig
) -> tuple[RewardTerm, ...]:
    """Returns all terms of a chunk that are known when it ends.

    Args:
        sources: the terms of each reward source.
        execution: what the robot did with the chunk.
        actions: float [H, 14], the targets of the chunk, rad, grippers normalized.
        config: the factors on the sources' terms, the penalties, and the registered terms.

    Raises:
        RewardError: where two terms share a name, a term is not finite or cannot be measured, a factor names no term,
            or a source uses a name of this package's own terms.
    """
    sent = combine(sources)
    for term in sent:
        if term.name in term_names.OWN:
            raise RewardError(
                f"a reward source must not name its term as ours ({', '.join(term_names.OWN)}), got '{term.name}'; "
                "rename it"
            )
    made = (penalties(execution, actions, config), execution_terms(execution, actions, config))
    return combine([weigh(sent, config.factors), *made])


def combine(sources: Iterable[Iterable[RewardTerm]]) -> tuple[RewardTerm, ...]:
    """Returns all terms of all sources, in their order.

    Raises:
        RewardError: where two terms have one name, or a value or weight is not finite.
    """
    terms: dict[str, RewardTerm] = {}
    for term in (term for source in sources for term in source):
        if term.name in terms:
            raise RewardError(f"a reward term must have a name of its own, got '{term.name}' twice; rename one of them")
        if not math.isfinite(term.value) or not math.isfinite(term.weight):
            raise RewardError(f"reward term '{term.name}' must be finite, got {term.value} with weight {term.weight}")
        terms[term.name] = term
    return tuple(terms.values())


def weigh(terms: tuple[RewardTerm, ...], factors: Mapping[str, float]) -> tuple[RewardTerm, ...]:
    """Returns the terms with their weights multiplied by the factors of their names. A missing factor counts as 1.

    Raises:
        RewardError: for a factor whose name no term has.
    """
    names = [term.name for term in terms]
    for name in factors:
        if name not in names:
            raise RewardError(
                f"reward.term_weights must name terms that each chunk has, got '{name}' where there are "
                f"{', '.join(names) or 'none'}; correct the name, or send the term for every chunk"
            )
    return tuple(dataclasses.replace(term, weight=term.weight * factors.get(term.name, 1.0)) for term in terms)


def with_term(outcome: ChunkOutcome, term: RewardTerm) -> ChunkOutcome:
    """Returns the outcome with this term and with the reward of all its terms.

    The new term replaces an old one of the same name.
    """
    terms = (*(known for known in outcome.reward_terms if known.name != term.name), term)
    return dataclasses.replace(outcome, reward_terms=terms, reward=total_reward(terms))


def mean_shares(outcomes: Iterable[ChunkOutcome]) -> Metrics:
    """Returns what each term adds to the reward of a chunk on average, under the name `reward/term/<name>`.

    A chunk that lacks a term counts with 0 for it.
    """
    listed = list(outcomes)
    shares: dict[str, float] = {}
    for term in (term for outcome in listed for term in outcome.reward_terms):
        name = f"reward/term/{term.name}"
        shares[name] = shares.get(name, 0.0) + float(term.weight * term.value / len(listed))
    return Metrics(shares)
