"""Tests the targets of a rollout and its metrics before training, by hand."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.targets import chunk_value_metrics, compute_targets
from chunk_ppo_ros.rl.update_metrics import metrics_of
from support import toy_policy


def rollout() -> RolloutBatch:
    """Returns four chunks that each end an episode.

    A human drove the last one, which counts in no metric of the policy.
    """
    rewards, values = (1.0, 2.0, 6.0, 100.0), (0.5, 1.0, 0.0, -50.0)
    return stack_transitions(
        [
            toy_policy.transition(
                number,
                reward=reward,
                value=value,
                next_value=9.0,
                terminated=True,
                valid=number != 1,
                human=number == 3,
            )
            for number, (reward, value) in enumerate(zip(rewards, values, strict=True))
        ]
    )


def test_targets_and_metrics_by_hand() -> None:
    targets, scalars = compute_targets(rollout(), PPOConfig(normalize_advantages=False))
    np.testing.assert_array_equal(targets.returns, [1.0, 2.0, 6.0, 100.0])
    np.testing.assert_array_equal(targets.advantages, [0.5, 1.0, 6.0, 150.0])
    assert targets.reference_log_probs is None
    np.testing.assert_array_equal(targets.take(np.array([2, 0])).returns, [6.0, 1.0])
    # The policy's rewards 1, 2, 6 have the mean 3 and the variance 14/3. Its advantages 0.5, 1, 6 have the mean 2.5 and
    # the variance 18.5/3, which is that of the returns minus the values.
    assert metrics_of([jax.device_get(scalars)]) == pytest.approx(
        {
            "value/explained_variance": 1.0 - 18.5 / 14.0,
            "value/mean": 0.5,
            "return/mean": 3.0,
            "advantage/std": np.sqrt(18.5 / 3.0),
            "reward/chunk_mean": 3.0,
            "reward/chunk_std": np.sqrt(14.0 / 3.0),
            "reward/chunk_min": 1.0,
            "reward/chunk_max": 6.0,
            "tokens/mean_per_chunk": 2.0,
            "decoding/invalid_fraction": 1.0 / 3.0,
            "rollout/human_fraction": 0.25,
        },
        rel=1e-5,
    )


def test_advantages_are_normalized_over_the_policys_chunks() -> None:
    targets, _ = compute_targets(rollout(), PPOConfig(normalize_advantages=True))
    np.testing.assert_allclose(
        targets.advantages, (np.array([0.5, 1.0, 6.0, 150.0]) - 2.5) / np.sqrt(18.5 / 3.0), rtol=1e-5
    )


def test_values_of_chunks_explain_the_returns_of_the_policys_chunks() -> None:
    # The returns 1, 2, 6 minus the values 1, 1, 6 are 0, 1, 0 with the variance 2/9, beside 14/3.
    returns, human = np.array([1.0, 2.0, 6.0, 100.0]), np.array([False, False, False, True])
    found = chunk_value_metrics(np.array([1.0, 1.0, 6.0, 0.0]), returns, human_mask=human)
    assert found == {"value/chunk_explained_variance": pytest.approx(1.0 - (2.0 / 9.0) / (14.0 / 3.0))}
    assert chunk_value_metrics(None, returns, human_mask=human) == {}
    constant = chunk_value_metrics(np.zeros(4), np.ones(4), human_mask=human)
    assert np.isnan(constant["value/chunk_explained_variance"])
