"""Which position rule a checkpoint prefers, on policies that were trained under one or the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_policy

from chunk_ppo_ros import positions
from chunk_ppo_ros.bench_inputs import random_observation
from chunk_ppo_ros.episode import Episode
from chunk_ppo_ros.errors import EpisodesError
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.positions import Preference, prefer, score_both
from chunk_ppo_ros.pretrain import CloningBatch

EPISODES, CHUNKS, TOKENS = 4, 2, 12
STEPS = 60


@pytest.fixture(scope="module")
def batch() -> CloningBatch:
    """Chunks of random tokens, two a demonstration, all of one observation."""
    tokenizer, random = small_policy.make_tokenizer(), np.random.default_rng(2)
    ids, slots = tokenizer.token_ids, tokenizer.config.max_action_tokens
    seen = dataclasses.replace(random_observation(tokenizer.config, random), prompt="reach")
    mask = np.tile(np.arange(slots) < TOKENS, (EPISODES * CHUNKS, 1))
    tokens = np.where(mask, ids.to_model(random.integers(0, ids.num_fast, mask.shape)), 0).astype(np.int32)
    observation = jax.tree.map(lambda leaf: np.stack([leaf] * len(tokens)), tokenizer.observe(seen))
    return CloningBatch(observation, tokens, mask)


def train(policy: Pi0FASTActorCritic, batch: CloningBatch, *, rule: int) -> Any:
    """Parameters after some steps of imitation whose likelihood is number `rule` of `score_both`."""
    params = policy.init(key=jax.random.key(0))
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(actor: Any, state: Any) -> tuple[Any, Any]:
        gradients = jax.grad(lambda actor: -jnp.mean(score_both(policy, actor, batch)[rule]))(actor)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(actor, updates), state

    actor, state = params["actor_backbone"], optimizer.init(params["actor_backbone"])
    for _ in range(STEPS):
        actor, state = step(actor, state)
    return {**params, "actor_backbone": actor}


@pytest.mark.parametrize(("rule", "verdict"), [(0, "ours"), (1, "served")])
def test_the_rule_of_training_is_found(batch: CloningBatch, rule: int, verdict: str) -> None:
    policy = small_policy.make_policy(small_policy.MODEL)
    params = train(policy, batch, rule=rule)
    preference = prefer(policy, params, batch, np.repeat(np.arange(EPISODES), CHUNKS))
    assert preference.verdict == verdict
    assert len(preference.ours) == EPISODES


def test_without_the_shift_both_rules_are_one(batch: CloningBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = small_policy.make_policy(small_policy.MODEL)
    actor = policy.init(key=jax.random.key(0))["actor_backbone"]
    ours, served = score_both(policy, actor, batch)
    assert np.abs(ours - served).max() > 1e-3
    monkeypatch.setattr(positions, "SERVED_SHIFT", 0)
    np.testing.assert_allclose(score_both(policy, actor, batch)[1], ours, atol=1e-3)  # sums of 12 tokens


def test_an_interval_around_zero_tells_nothing() -> None:
    """Differences -1, 1: mean 0, so the interval holds 0; differences 1, 1.1: mean 1.05, half width 0.64."""
    assert Preference(np.array([-1.0, 1.0]), np.zeros(2)).verdict == "neither"
    assert Preference(np.array([1.0, 1.1]), np.zeros(2)).verdict == "ours"
    assert Preference(np.zeros(2), np.array([1.0, 1.1])).verdict == "served"
    assert "train it on demonstrations" in str(Preference(np.zeros(2), np.array([1.0, 1.1])))


def test_a_recorded_episode_is_cut_into_chunks_that_follow_each_other() -> None:
    """6 steps at H = 4 start chunks at 0 and 4; the second repeats the last action, as openpi's loader does."""
    steps = np.arange(6, dtype=np.float32)[:, None]
    seen: list[int] = []

    def read(step: int) -> np.ndarray:
        seen.append(step)
        return np.full((16, 32, 3), 10 + step, np.uint8)

    episode = Episode("hand-made", steps, 10 * steps, rate=50.0, prompt="reach", cameras={"cam_high": read})
    model = dataclasses.replace(small_policy.MODEL, cameras=("base_0_rgb", "left_wrist_0_rgb"), action_dim=1)
    demonstration = positions._as_demonstration(episode, model)
    assert demonstration.actions[..., 0].tolist() == [[0, 10, 20, 30], [40, 50, 50, 50]]
    assert demonstration.state[:, 0].tolist() == [0, 4] and seen == [0, 4]
    assert demonstration.image_mask.tolist() == [[True, False], [True, False]]
    assert demonstration.images[1, 0, 16, 16].tolist() == [14, 14, 14]  # 32 x 16 in a square of 32: bars of 8 rows
    assert demonstration.images[1, 0, 4].max() == 0 and demonstration.images[:, 1].max() == 0


def test_an_episode_without_a_task_is_refused() -> None:
    episode = Episode("hand-made", np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32), rate=50.0)
    with pytest.raises(EpisodesError, match="set --prompt"):
        positions._as_demonstration(episode, small_policy.MODEL)
