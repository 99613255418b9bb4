"""Penalties on how a chunk was executed, each a sum over its control steps: two halves cost about what one whole does.

The targets are those that the policy gave, before robot_node limited them: the policy answers for what it asks.
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.rewards.term_names import CLAMPED, EFFORT, JERK
from chunk_ppo_ros.robot import aloha


def penalties(execution: ExecutionResult, actions: np.ndarray, config: RewardConfig) -> tuple[RewardTerm, ...]:
    """Returns the terms `clamped`, `jerk` and `effort`, those whose penalty is not 0; weights are minus the penalties.

    Args:
        execution: what the robot did with the chunk.
        actions: float [H, 14], the targets of the chunk, H at least the executed steps: rad, grippers normalized.
        config: the penalties.

    Raises:
        RewardError: where effort counts but is not known.
    """
    terms = []
    if config.clamped_penalty:
        terms.append(RewardTerm(CLAMPED, float(execution.num_clamped_steps), -config.clamped_penalty))
    if config.jerk_penalty:
        terms.append(RewardTerm(JERK, jerk(actions[: execution.num_steps]), -config.jerk_penalty))
    if config.effort_penalty:
        if execution.effort is None:
            raise RewardError(
                f"joint states must have efforts of both arms with reward.effort_penalty {config.effort_penalty}, got "
                "none; have the drivers publish them, or set reward.effort_penalty to 0"
            )
        terms.append(RewardTerm(EFFORT, execution.effort, -config.effort_penalty))
    return tuple(terms)


def jerk(targets: np.ndarray) -> float:
    """Third differences of the arm joints' targets, squared, in rad^2: a mean over joints, summed over steps.

    J = sum_{t=3}^{k-1} 1/12 sum_d (a_t,d - 3 a_t-1,d + 3 a_t-2,d - a_t-3,d)^2; at a control rate f the jerk in rad/s^3
    is f^3 times such a difference (Flash and Hogan 1985 integrate its square). Grippers are left out, they may snap. 0
    for fewer than four steps.

    Args:
        targets: float [k, 14].
    """
    differences = np.diff(targets[:, aloha.ARM_INDICES], n=3, axis=0)
    return float(np.sum(np.mean(differences**2, axis=1)))
