"""Decides how many control steps k of a sampled chunk are executed, and how far the chunk discounts what follows.

Each rule is a function of the sampled tokens, of the value of the state and of the version of the weights, so that k
has no probability of its own. docs/chunk-length.md says why the ratio of PPO stays right. The k steps are executed in
`agent/env.py` and `nodes/policy/`, and their rewards are summed there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import ChunkLengthConfig, PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Transition


def choose_num_steps(
    config: ChunkLengthConfig, *, horizon: int, policy_version: int, entropy: float, value: float
) -> int:
    r"""Returns the number k of control steps of a chunk that are to be executed.

    :math:`k = round(k_0 + u (k_1 - k_0))` with k_0 `executed_steps` and k_1 `end_steps`. Halves are rounded up. The
    share u lies within 0..1 and depends on `length_rule`. The rule "fixed" gives 0. The rule "scheduled" gives
    policy_version / schedule_updates. The rule by uncertainty gives the larger of two shares. The first is the share of
    the way from `low_entropy` to `high_entropy` that the entropy has gone. The second is the share of the way from
    `high_value` down to `low_value` that the value has gone.

    Liang et al. 2026, "Adaptive Action Chunking at Inference-time for Vision-Language-Action Models" (arXiv 2604.04161)
    had the idea that a high entropy of the sampled actions shortens what is executed. Differs from it: they look for
    the step after which the entropy of several samples of actions rises most. FAST's tokens stand for frequencies and
    belong to no step, so that here the mean over a chunk's tokens decides, between two thresholds.

    Args:
        config: the rule and its settings.
        horizon: the number H of steps in a chunk. `executed_steps` 0 stands for it.
        policy_version: the version of the weights that sampled the chunk, 0, 1, ...
        entropy: the mean entropy of the sampled tokens, nats; see `mean_entropy`.
        value: V(s), the value of the state before the chunk, in units of reward.

    Returns:
        The number of steps k, within 1..H.
    """
    first = config.executed_steps or horizon
    share = _share(config, policy_version=policy_version, entropy=entropy, value=value)
    return math.floor(first + share * (config.end_steps - first) + 0.5)


def without_schedule(config: ChunkLengthConfig, *, horizon: int, policy_version: int) -> ChunkLengthConfig:
    """Returns the rule with which weights of a version act where they are not trained any more.

    A schedule stands still at what it gives for the version. All other rules stay as they are.

    Args:
        config: the rule and its settings.
        horizon: the number H of steps in a chunk.
        policy_version: the version of the weights, as training counts it.
    """
    if config.length_rule != "scheduled":
        return config
    steps = choose_num_steps(config, horizon=horizon, policy_version=policy_version, entropy=0.0, value=0.0)
    return dataclasses.replace(config, length_rule="fixed", executed_steps=steps)


def _share(config: ChunkLengthConfig, *, policy_version: int, entropy: float, value: float) -> float:
    """Returns u, the share 0..1 of the way from `executed_steps` to `end_steps` that k has gone."""
    if config.length_rule == "fixed":
        return 0.0
    if config.length_rule == "scheduled":
        return min(policy_version / config.schedule_updates, 1.0)
    unsure = (entropy - config.low_entropy) / (config.high_entropy - config.low_entropy)
    if config.low_value < config.high_value:
        unsure = max(unsure, (config.high_value - value) / (config.high_value - config.low_value))
    return min(max(unsure, 0.0), 1.0)


def mean_entropy(token_entropies: np.ndarray, token_mask: np.ndarray) -> float:
    """Returns the mean of the entropies [T] over the sampled tokens, nats, or 0 where no token was sampled.

    Where the decoder allows only one token, that token counts with its entropy of 0.
    """
    return float(np.mean(token_entropies[token_mask])) if np.any(token_mask) else 0.0


def held_after(actions: np.ndarray, num_steps: int, *, horizon: int) -> np.ndarray:
    """Returns a chunk as the robot does it when it executes `num_steps` steps and then holds the last target.

    V(s, a) gets a chunk in this form, so that the steps that are not executed have no influence on it.

    Args:
        actions: float [at least k, D], the targets.
        num_steps: the number k of executed steps, within 1..H.
        horizon: the number H of steps of the returned chunk.

    Returns:
        An array float [H, D]; it equals `actions` where these have k = H steps.
    """
    return actions[np.minimum(np.arange(horizon), num_steps - 1)]


def length_metrics(transitions: Sequence[Transition]) -> Metrics:
    """Returns the metrics of executed steps and of entropy over the chunks that no human drove.

    Returns no metric where there is no such chunk. The entropies are those of the policy while it acted. They help to
    choose `low_entropy` and `high_entropy`.
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
    r"""Returns the factor on the value after a chunk of k executed control steps.

    By default the chunk is the unit of time, and the discount is `gamma` for every k. With `discount_per_step` it is
    :math:`\gamma_{step}^k`, the discount of an option that lasted k steps (Sutton, Precup and Singh 1999, eq. 3).

    Differs from the option's return: rewards within a chunk are summed without a discount in both forms.

    Args:
        config: the settings `gamma`, `discount_per_step` and `gamma_step`.
        num_steps: the number of executed control steps k, at least 0. A chunk that was refused (k = 0) has taken no
            time.

    Returns:
        The discount, within 0..1, before termination is applied.

    Raises:
        ValueError: if `num_steps` is negative.
    """
    if num_steps < 0:
        raise ValueError(f"num_steps must be at least 0, got {num_steps}; count the control steps that were executed")
    return float(config.gamma_step**num_steps if config.discount_per_step else config.gamma)
