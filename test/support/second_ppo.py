"""Computes PPO on chunks a second time, for tests.

It uses plain Python loops over float64, follows the papers' definitions, and shares no code with the package.

Advantages are the explicit sums of GAE (Schulman et al. 2016, eq. 16 before it is made a recursion). Losses are
computed chunk by chunk and token by token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def advantages(sequence: dict[str, np.ndarray], gae_lambda: float) -> list[float]:
    """Returns sum over l of (product of the gamma lambda between) delta_{t+l}, up to the segment's end."""
    made = []
    for first in range(len(sequence["rewards"])):
        total, weight = 0.0, 1.0
        for t in range(first, len(sequence["rewards"])):
            future = 0.0 if sequence["terminated"][t] else float(sequence["next_values"][t])
            discount = float(sequence["discounts"][t])
            total += weight * (float(sequence["rewards"][t]) + discount * future - float(sequence["values"][t]))
            if sequence["segment_end"][t]:
                break
            weight *= discount * gae_lambda
        made.append(total)
    return made


def clipped(ratio: float, advantage: float, low: float, high: float) -> float:
    """Returns the surrogate by cases. The clip takes away what would be gained by going further."""
    if advantage > 0 and ratio > 1 + high:
        return -(1 + high) * advantage
    if advantage < 0 and ratio < 1 - low:
        return -(1 - low) * advantage
    return -ratio * advantage


def surrogate(log_ratios: Sequence[float], advantage: float, *, level: str, low: float, high: float) -> float:
    """Returns the loss of a chunk from the log-ratios of its sampled tokens."""
    if level == "token":
        return sum(clipped(math.exp(each), advantage, low, high) for each in log_ratios)
    if level == "chunk":
        return clipped(math.prod(math.exp(each) for each in log_ratios), advantage, low, high)
    count = len(log_ratios)
    return count * clipped(math.prod(math.exp(each) for each in log_ratios) ** (1 / count), advantage, low, high)


def huber(error: float, delta: float) -> float:
    """Returns half the square up to delta, and beyond it a line of slope delta that continues the square."""
    size = abs(error)
    return size**2 / 2 if size <= delta else delta**2 / 2 + delta * (size - delta)


def loss(arrays: dict[str, Any], config: Any) -> float:
    """Returns the whole loss of a minibatch.

    Its arrays are log_probs, old, reference and entropy [B, T], value and others [B], and masks.
    """
    policy, entropy, reference, values, cloning = [], [], [], [], []
    for row in range(len(arrays["value"])):
        tokens = np.flatnonzero(arrays["token_mask"][row])
        new = [float(arrays["log_probs"][row, t]) for t in tokens]
        if arrays["human_mask"][row]:
            cloning.append(-sum(new))
            continue
        values.append(huber(float(arrays["value"][row] - arrays["returns"][row]), config.value_huber_delta))
        if not arrays["policy_mask"][row]:
            continue
        moved = [each - float(arrays["old"][row, t]) for each, t in zip(new, tokens, strict=True)]
        advantage, low = float(arrays["advantages"][row]), config.clip_coef
        policy.append(
            surrogate(moved, advantage, level=config.ratio, low=low, high=config.clip_coef_high or config.clip_coef)
        )
        entropy.append(sum(float(arrays["entropy"][row, t]) for t in tokens) / len(tokens))
        reference.append(
            sum((each - float(arrays["reference"][row, t])) ** 2 / 2 for each, t in zip(new, tokens, strict=True))
        )
    return (
        _mean(policy)
        + config.vf_coef * _mean(values)
        - config.ent_coef * _mean(entropy)
        + config.ref_kl_coef * _mean(reference)
        + config.bc_coef * sum(cloning) / (len(policy) + len(cloning))
    )


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
