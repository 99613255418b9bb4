"""Computes reward terms from what the robot did with a chunk.

A term of your own is named by its module and function, as "my_terms:travel". A package can register a term, by an entry
point of the group `chunk_ppo_ros.execution_terms`. A term of this package is one file in this folder and one line in
`EXECUTION_TERMS`. All are functions that take what the robot did (`ExecutionResult`) and the targets of the chunk,
float [H, 14], and return the value of the term as a float. The setting `reward.execution_terms` names the terms that
count, each with its weight. In metrics a term has its name without the module.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.own_parts.registered_functions import number_of
from chunk_ppo_ros.core.registry import Registry, short_name
from chunk_ppo_ros.core.types import RewardTerm

ExecutionTerm = Callable[[ExecutionResult, np.ndarray], float]

EXECUTION_TERMS: Registry[ExecutionTerm] = Registry(
    "reward.execution_terms", group="chunk_ppo_ros.execution_terms", own={}, attributes=("__call__",)
)
"""The registered terms that are computed from an execution. This package has none of its own."""


def execution_terms(execution: ExecutionResult, actions: np.ndarray, config: RewardConfig) -> tuple[RewardTerm, ...]:
    """Returns the terms of `reward.execution_terms`, in the order of the setting.

    Args:
        execution: what the robot did with the chunk.
        actions: float [H, 14], the targets of the chunk, rad, grippers normalized. H is at least the number of executed
            steps.
        config: the names and weights of the terms.

    Raises:
        RegistryError: for a name that no package registers, or a package whose term cannot be imported.
        RewardError: when a term raises, or returns no finite number.
    """
    return tuple(
        RewardTerm(
            short_name(name),
            number_of(f"{EXECUTION_TERMS.what} {name}", EXECUTION_TERMS.get(name), execution, actions, is_finite=True),
            weight,
        )
        for name, weight in config.execution_weights.items()
    )
