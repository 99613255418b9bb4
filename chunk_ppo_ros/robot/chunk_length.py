"""How many control steps k of a sampled chunk are executed, and what that means for time; standard library and numpy.

Each rule is a function of what was sampled (tokens and value in a state) and of the version of the weights, so that k
has no probability of its own: docs/chunk-length.md says why the ratio of PPO stays right.
Not here: who executes the k steps (`env.py`, `nodes/policy/`), and the sum of rewards over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import ChunkLengthConfig, PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Transition


def choose_num_steps(
    config: ChunkLengthConfig, *, horizon: int, policy_version: int, entropy: float, value: float
) -> int:
    r"""Control steps k of a chunk that are to be executed.

    :math:`k = round(k_0 + u (k_1 - k_0))`, halves up, with k_0 `executed_steps`, k_1 `end_steps` and u within 0..1 by
    `length_rule`: 0 where fixed; version / schedule_updates where scheduled; by uncertainty the larger of how far the
    entropy is from `low_entropy` to `high_entropy`, and how far the value is from `high_value` down to `low_value`.

    That an entropy of what was sampled shortens what is executed is the idea of Liang et al. 2026, "Adaptive Action
    Chunking at Inference-time for Vision-Language-Action Models" (arXiv 2604.04161). Differs from it: they look for the
    step after which entropy rises most, over several samples in action space; FAST's tokens are frequencies and belong
    to no step, so here the mean over a chunk's tokens decides, between two thresholds.

    Args:
        config: the rule.
        horizon: H, steps of a chunk; what `executed_steps` 0 stands for.
        policy_version: of the weights that sampled it, 0, 1, ...
        entropy: mean over its sampled tokens, nats; see `mean_entropy`.
        value: V(s), in units of reward.

    Returns:
        k, within 1..H.
    """
    first = config.executed_steps or horizon
    share = _share(config, policy_version=policy_version, entropy=entropy, value=value)
    return math.floor(first + share * (config.end_steps - first) + 0.5)


def _share(config: ChunkLengthConfig, *, policy_version: int, entropy: float, value: float) -> float:
    """u, how far k is on its way from `executed_steps` to `end_steps`."""
    if config.length_rule == "fixed":
        return 0.0
    if config.length_rule == "scheduled":
        return min(policy_version / config.schedule_updates, 1.0)
    unsure = (entropy - config.low_entropy) / (config.high_entropy - config.low_entropy)
    if config.low_value < config.high_value:
        unsure = max(unsure, (config.high_value - value) / (config.high_value - config.low_value))
    return min(max(unsure, 0.0), 1.0)


def mean_entropy(token_entropies: np.ndarray, token_mask: np.ndarray) -> float:
    """Mean of [T] entropies over the sampled tokens, nats; 0 where none was sampled.

    A token that the decoder leaves no choice about counts with its entropy of 0.
    """
    return float(np.mean(token_entropies[token_mask])) if np.any(token_mask) else 0.0


def held_after(actions: np.ndarray, num_steps: int) -> np.ndarray:
    """Returns a chunk as the robot does it when `num_steps` of its steps are executed: then the last target is held.

    It is what V(s, a) is told of a chunk, so that what is not executed has no value.

    Args:
        actions: [H, D].
        num_steps: k, within 1..H.

    Returns:
        [H, D]; `actions` themselves where k is H.
    """
    return actions[np.minimum(np.arange(len(actions)), num_steps - 1)]


def length_metrics(transitions: Sequence[Transition]) -> Metrics:
    """Returns the metrics of executed steps and of entropy over the chunks that no human drove; none where there is no
    chunk.

    The entropies are those of the policy while it acted: what `low_entropy` and `high_entropy` are chosen by.
    """
    sampled = [transition for transition in transitions if not transition.chunk.human_driven]
    if not sampled:
        return Metrics()
    num_steps = [transition.outcome.num_steps for transition in sampled]
    entropy = [transition.chunk.entropy for transition in sampled]
    return Metrics(
        {
            "chunk/num_steps_mean": float(np.mean(num_steps)),
            "chunk/num_steps_min": float(min(num_steps)),
            "chunk/num_steps_max": float(max(num_steps)),
            "chunk/entropy_mean": float(np.mean(entropy)),
            "chunk/entropy_min": float(min(entropy)),
            "chunk/entropy_max": float(max(entropy)),
        }
    )


def chunk_discount(config: PPOConfig, num_steps: int) -> float:
    r"""Factor on the value after a chunk of k executed control steps.

    The chunk is the unit of time by default, and the discount is `gamma` whatever k is. With `discount_per_step` it is
    :math:`\gamma_{step}^k`: the discount of an option that lasted k steps (Sutton, Precup and Singh 1999, eq. 3).

    Differs from the option's return: rewards within a chunk are summed without a discount in both forms.

    Args:
        config: reads `gamma`, `discount_per_step` and `gamma_step`.
        num_steps: executed control steps k, at least 0. A chunk that was refused (k = 0) has taken no time.

    Returns:
        The discount, within 0..1, before termination is applied.

    Raises:
        ValueError: if `num_steps` is negative.
    """
    if num_steps < 0:
        raise ValueError(f"num_steps must be at least 0, got {num_steps}; count the control steps that were executed")
    return float(config.gamma_step**num_steps if config.discount_per_step else config.gamma)
