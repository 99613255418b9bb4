"""Tests the gap between sampling and scoring for each dtype.

Chunks are sampled one by one, and scored in minibatches.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.rl.log_prob_check import LogProbCheck
from support.actor_critic import CONFIG, make_observation, make_policy, rollout

NUM_CHUNKS = 4


def sampled_rollout(policy: Any, params: Any) -> Any:
    """Returns a rollout that is sampled at batch 1, as an actor does it."""
    observation, sample = make_observation(CONFIG, NUM_CHUNKS), jax.jit(policy.sample_actions)
    rows = [
        sample(
            params, jax.tree.map(lambda leaf, n=n: leaf[n : n + 1], observation), key=jax.random.key(n), temperature=1.0
        )
        for n in range(NUM_CHUNKS)
    ]
    return rollout(observation, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *rows))


@pytest.mark.parametrize(("dtype", "depth"), [("float32", 1), ("bfloat16", 3)])  # one block of bfloat16 hides it
def test_rounding_is_within_the_limit_of_its_dtype(dtype: str, depth: int) -> None:
    policy = make_policy(dtype=dtype, tower_sizes=(f"gemma.depth={depth}",))
    params = policy.init(key=jax.random.key(0))
    made, ppo = sampled_rollout(policy, params), PPOConfig()
    limit = ppo.logp_gap_limit(dtype)
    scores = LogProbCheck(policy.evaluate, batch_size=2, limit=limit)(params, made)
    assert scores.token_log_probs.shape == made.token_log_probs.shape
    if dtype == "float32":
        assert scores.token_gaps.max() <= 1e-4
    else:
        assert 1e-6 < scores.token_gaps.max() < 0.5  # nats; measured 0.02 with three blocks
        assert scores.chunk_gaps.max() > ppo.logp_gap_limit("float32")  # float32's limit would refuse it
