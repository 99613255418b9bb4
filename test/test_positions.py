"""Tests which position rule a checkpoint prefers, on policies that were trained under one or the other."""

from __future__ import annotations

import dataclasses
import pathlib
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.evaluation import positions
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_observation
from chunk_ppo_ros.evaluation.positions import Preference, prefer, score_both
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from support import small_policy
from support.recordings import write_hdf5

EPISODES, CHUNKS, TOKENS = 4, 2, 12
STEPS = 60


@pytest.fixture(scope="module")
def batch() -> CloningBatch:
    """Returns chunks of random tokens, two a demonstration, all of one observation."""
    tokenizer, random = small_policy.make_tokenizer(), np.random.default_rng(2)
    ids, slots = tokenizer.token_ids, tokenizer.config.max_action_tokens
    seen = dataclasses.replace(random_observation(tokenizer.config, random), prompt="reach")
    mask = np.tile(np.arange(slots) < TOKENS, (EPISODES * CHUNKS, 1))
    tokens = np.where(mask, ids.to_model(random.integers(0, ids.num_fast, mask.shape)), 0).astype(np.int32)
    observation = jax.tree.map(lambda leaf: np.stack([leaf] * len(tokens)), tokenizer.observe(seen))
    return CloningBatch(observation, tokens, mask)


def train(policy: Pi0FASTActorCritic, batch: CloningBatch, *, rule: int) -> Any:
    """Returns parameters after some steps of imitation whose likelihood is number `rule` of `score_both`."""
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
    """The differences -1 and 1 have the mean 0, so the interval holds 0.

    The differences 1 and 1.1 have the mean 1.05 and the half width 0.64.
    """
    assert Preference(np.array([-1.0, 1.0]), np.zeros(2)).verdict == "neither"
    assert Preference(np.array([1.0, 1.1]), np.zeros(2)).verdict == "ours"
    assert Preference(np.zeros(2), np.array([1.0, 1.1])).verdict == "served"
    assert "Train it on demonstrations" in str(Preference(np.zeros(2), np.array([1.0, 1.1])))


def test_likelihoods_are_means_over_the_tokens_of_a_demonstration(
    batch: CloningBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are ten chunks with 1, 2 ..

    10 tokens, of which the second batch has only two. Each costs its number of chunk.
    """
    rows = np.arange(10)
    many = batch.take(rows % len(batch.action_tokens))
    mask = np.arange(many.token_mask.shape[1]) <= rows[:, None]
    many = dataclasses.replace(many, action_tokens=np.where(mask, rows[:, None], 0), token_mask=mask)

    def score(policy: Any, actor: Any, chunks: CloningBatch) -> tuple[jax.Array, jax.Array]:
        assert len(chunks.action_tokens) == positions.BATCH_SIZE
        sums = -jnp.sum(jnp.asarray(chunks.action_tokens), axis=1).astype(jnp.float32)
        return sums, 2.0 * sums

    monkeypatch.setattr(positions, "score_both", score)
    policy = small_policy.make_policy(small_policy.MODEL)
    preference = prefer(policy, {"actor_backbone": {}}, many, np.repeat([0, 1], 5))
    # Demonstration 0 costs (0*1 + 1*2 + 2*3 + 3*4 + 4*5) / 15 = 40/15, and demonstration 1 costs (5*6 + .. + 9*10) / 40
    # = 290/40.
    np.testing.assert_allclose(preference.ours, [-40 / 15, -290 / 40], rtol=1e-6)
    np.testing.assert_allclose(preference.served, [-80 / 15, -580 / 40], rtol=1e-6)


def test_a_preference_says_its_numbers() -> None:
    # The mean of 1 and 1.1 is 1.05, and the standard error is 0.05. With t(0.975, 1) = 12.7062 the half width is
    # 0.6353.
    assert str(Preference(np.array([-1.0, -0.9]), np.array([-2.0, -2.0]))) == (
        "the policy's rule -0.9500 nats per token, openpi's sampler's -2.0000; difference +1.0500 [+0.4147, +1.6853] "
        "over 2 demonstrations, 95 % interval\nThe checkpoint was trained under the policy's rule. Use it as it is."
    )


def test_the_command_scores_32_demonstrations_and_at_least_two(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, pathlib.Path | None]] = []

    def measure(checkpoint: Any, config: TrainConfig, *, episodes: pathlib.Path | None) -> str:
        asked.append((config.pretrain.num_demonstrations, episodes))
        return "the verdict"

    monkeypatch.setattr(positions, "prefer_checkpoint", measure)
    path = str(small_policy.save_openpi(tmp_path / "imitation"))
    assert positions.main([path]) == 0
    assert positions.main([path, "--episodes", "mine", "--num_demonstrations", "2", "--simulator", "none"]) == 0
    assert asked == [(32, None), (2, pathlib.Path("mine"))]
    assert capsys.readouterr().out.count("the verdict\n") == 2
    with pytest.raises(SystemExit):
        positions.main([path, "--num_demonstrations", "1"])
    assert "--num_demonstrations must be at least 2 for an interval, got 1" in capsys.readouterr().err


def test_demonstrations_that_do_not_fit_are_an_error_of_the_user(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def refuse(demonstrations: Any, tokenizer: Any) -> CloningBatch:
        given.append((demonstrations, tokenizer))
        raise ValueError("chunk 3 is too long")

    bundle = SimpleNamespace(tokenizer="its tokenizer")
    monkeypatch.setattr(positions.restore, "load", lambda checkpoint, config: bundle)
    monkeypatch.setattr(positions, "collect_demonstrations", lambda config, **_: "simulated")
    monkeypatch.setattr(positions, "recorded_chunks_of", lambda path, config, *, checkpoint: path)
    monkeypatch.setattr(positions, "tokenize", refuse)
    for episodes in (None, tmp_path):
        with pytest.raises(UserError, match="demonstrations cannot be scored: chunk 3 is too long"):
            positions.prefer_checkpoint(cast(Any, None), small_policy.configure(tmp_path), episodes=episodes)
    assert given == [("simulated", "its tokenizer"), (tmp_path, "its tokenizer")]


def test_recorded_episodes_are_chunks_that_follow_each_other(tmp_path: pathlib.Path) -> None:
    """Two episodes of 6 steps at H = 4 start chunks at 0 and 4. The third episode is not asked for."""
    for number in range(3):
        write_hdf5(tmp_path / f"episode_{number}.hdf5", 6, first=number, images=np.zeros((6, 8, 10, 3), np.uint8))
    config = small_policy.configure(tmp_path, run={"prompt": "reach"})
    config = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, num_demonstrations=2))
    chunks = positions.recorded_chunks_of(tmp_path, config)
    assert chunks.episodes.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(chunks.state[:, 0], [0, 0.56, 1, 1.56], rtol=1e-6)
    few = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, num_demonstrations=1))
    with pytest.raises(EpisodesError, match="at least 2 for an interval, got 1"):
        positions.recorded_chunks_of(tmp_path, few)
