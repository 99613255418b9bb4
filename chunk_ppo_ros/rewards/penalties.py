"""Computes penalties on how a chunk was executed.

Each penalty is a sum over control steps, so that two half chunks cost about as much as one whole chunk. The targets are
those that the policy gave before robot_node limited them, because the policy is judged by what it asks for.
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
    """Returns those of the terms `clamped`, `jerk` and `effort` whose penalty is not 0.

    The weight of a term is minus its penalty.

    Args:
        execution: what the robot did with the chunk.
        actions: float [H, 14], the targets of the chunk, rad, grippers normalized. H is at least the number of executed
            steps.
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
    """Returns the squared third differences of the arm joints' targets, in rad^2.

    The squares are averaged over joints and summed over steps:
    J = sum_{t=3}^{k-1} 1/12 sum_d (a_t,d - 3 a_t-1,d + 3 a_t-2,d - a_t-3,d)^2. At a control rate f the jerk in rad/s^3
    is f^3 times such a difference, and Flash and Hogan 1985 integrate its square. Grippers do not count, because they
    may snap. The result is 0 for fewer than four steps.

    Args:
        targets: float [k, 14], the targets of the k steps, rad, grippers normalized.
    """
    differences = np.diff(targets[:, aloha.ARM_INDICES], n=3, axis=0)
    return float(np.sum(np.mean(differences**2, axis=1)))
