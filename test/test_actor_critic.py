"""Tests that acting and scoring mean one distribution, in any batch and with any pads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import MODELS
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.model import decoding
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.decoders import ConstrainedDecoder
from chunk_ppo_ros.model.outputs import ChunkScores, Sample
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from support.actor_critic import CONFIG, NUM_FAST, TOKEN_IDS, make_constraint, make_observation, make_policy

BATCH = 4


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A policy with random parameters, also in the value head, and its compiled methods."""

    policy: Pi0FASTActorCritic
    params: Any
    sample: Callable[..., Sample]
    evaluate: Callable[..., ChunkScores]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    policy = make_policy()
    params = policy.init(key=jax.random.key(0))
    params["value_head"]["output"]["kernel"] = jax.random.normal(jax.random.key(1), (16, 1))
    return Compiled(policy, params, jax.jit(policy.sample_actions, static_argnames="greedy"), jax.jit(policy.evaluate))


@pytest.fixture(scope="module")
def observation() -> ModelObservation:
    return make_observation(CONFIG, BATCH)


@pytest.fixture(scope="module")
def sampled(compiled: Compiled, observation: ModelObservation) -> Sample:
    return compiled.sample(compiled.params, observation, key=jax.random.key(2), temperature=1.0)


def evaluate(
    compiled: Compiled, observation: ModelObservation, sample: Sample, temperature: float = 1.0
) -> ChunkScores:
    return compiled.evaluate(
        compiled.params, observation, sample.action_tokens, sample.token_mask, temperature=temperature
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_scores_are_those_of_sampling(compiled: Compiled, observation: ModelObservation, temperature: float) -> None:
    """Checks prompts of different lengths, masked cameras, and chunks of different lengths."""
    sample = compiled.sample(compiled.params, observation, key=jax.random.key(3), temperature=temperature)
    scores = evaluate(compiled, observation, sample, temperature)
    np.testing.assert_allclose(scores.token_log_probs, sample.token_log_probs, atol=1e-4)
    np.testing.assert_allclose(scores.entropy, sample.token_entropies, atol=1e-4)
    np.testing.assert_allclose(scores.value.mean, sample.value, atol=1e-4)
    assert np.all(np.asarray(sample.token_log_probs)[np.asarray(sample.token_mask)] < 0)


def test_another_temperature_scores_differently(
    compiled: Compiled, observation: ModelObservation, sampled: Sample
) -> None:
    scores = evaluate(compiled, observation, sampled, temperature=2.0)
    assert np.max(np.abs(scores.token_log_probs - sampled.token_log_probs)) > 0.1


def test_every_chunk_is_complete_and_closed(compiled: Compiled, observation: ModelObservation) -> None:
    lengths = set()
    for seed in range(20):
        sample = compiled.sample(compiled.params, observation, key=jax.random.key(seed), temperature=2.0)
        for tokens, mask in zip(np.asarray(sample.action_tokens), np.asarray(sample.token_mask), strict=True):
            length = int(mask.sum())
            fast_ids = TOKEN_IDS.to_fast(tokens[:length])
            pending = np.concatenate([[0], compiled.policy.constraint.next_pending[0][fast_ids]])[:-1]
            completed = compiled.policy.constraint.num_coefficients[pending, fast_ids]
            assert completed.sum() == compiled.policy.constraint.total
            assert mask[:length].all() and length <= compiled.policy.constraint.max_tokens
            np.testing.assert_array_equal(tokens[length:], [7, 1] + [0] * (len(tokens) - length - 2))
            lengths.add(length)
    assert len(lengths) > 3


def test_likeliest_tokens_do_not_depend_on_the_key(compiled: Compiled, observation: ModelObservation) -> None:
    first, second = (
        compiled.sample(compiled.params, observation, key=jax.random.key(seed), temperature=1.0, greedy=True)
        for seed in (0, 1)
    )
    np.testing.assert_array_equal(first.action_tokens, second.action_tokens)
    scores = evaluate(compiled, observation, first)
    np.testing.assert_allclose(scores.token_log_probs, first.token_log_probs, atol=1e-4)


def test_rows_do_not_depend_on_their_batch(compiled: Compiled, observation: ModelObservation, sampled: Sample) -> None:
    order = np.array([2, 0, 3, 1])
    turned = jax.tree.map(lambda leaf: leaf[order], (observation, sampled))
    scores = evaluate(compiled, *turned)
    np.testing.assert_allclose(scores.token_log_probs, sampled.token_log_probs[order], atol=1e-4)
    np.testing.assert_allclose(scores.value.mean, sampled.value[order], atol=1e-4)


def test_pads_and_masked_cameras_change_nothing(
    compiled: Compiled, observation: ModelObservation, sampled: Sample
) -> None:
    """Changes prompt pads, the picture of a masked camera and what stands after the last FAST token."""
    images = np.where(observation.image_mask[..., None, None, None], observation.images, 255).astype(np.uint8)
    prompt = np.where(observation.prompt_mask, observation.prompt_tokens, 33).astype(np.int32)
    changed = dataclasses.replace(observation, images=images, prompt_tokens=prompt)
    tokens = jnp.where(sampled.token_mask, sampled.action_tokens, 44)
    expected = evaluate(compiled, observation, sampled)
    found = evaluate(compiled, changed, dataclasses.replace(sampled, action_tokens=tokens))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected)


@pytest.mark.parametrize("field", ["images", "prompt_tokens"])
def test_what_is_seen_matters(compiled: Compiled, observation: ModelObservation, sampled: Sample, field: str) -> None:
    """Row 0 has all cameras. Its first image or prompt token changes its own scores only."""
    changed = np.array(getattr(observation, field))
    changed[0, 0] = changed[0, 0] + 1
    scores = evaluate(compiled, dataclasses.replace(observation, **{field: changed}), sampled)
    difference = np.abs(scores.token_log_probs - sampled.token_log_probs).max(axis=1)
    assert difference[0] > 1e-4
    assert difference[1:].max() < 1e-4


def test_missing_camera_changes_the_scores(compiled: Compiled, observation: ModelObservation, sampled: Sample) -> None:
    mask = np.array(observation.image_mask)
    mask[0, -1] = False
    scores = evaluate(compiled, dataclasses.replace(observation, image_mask=mask), sampled)
    assert np.abs(scores.token_log_probs - sampled.token_log_probs).max(axis=1)[0] > 1e-3


def test_equal_logits_give_the_number_of_legal_tokens(compiled: Compiled, observation: ModelObservation) -> None:
    """With zero FAST rows each token has probability 1 / (number of legal tokens), and the entropy is its log.

    Twelve coefficients and ten tokens are left, which allow 16 whole tokens and 4 that leave a byte pending. After a
    token of one coefficient 20 tokens are still legal. After one that leaves a byte pending, the 4 that complete it
    are.
    """
    params = jax.tree.map(lambda leaf: leaf, compiled.params)
    embedder = params["actor_backbone"]["PaliGemma"]["llm"]["embedder"]
    embedder["input_embedding"] = (
        embedder["input_embedding"].at[TOKEN_IDS.to_model(NUM_FAST - 1) : TOKEN_IDS.to_model(0) + 1].set(0.0)
    )
    fast_ids = np.array([[0, 0, 0], [16, 20, 0]])
    tokens = np.zeros((BATCH, CONFIG.max_action_tokens), np.int32)
    tokens[:2, :3] = TOKEN_IDS.to_model(fast_ids)
    mask = np.zeros_like(tokens, bool)
    mask[:2, :3] = True
    scores = compiled.evaluate(params, observation, tokens, mask, temperature=1.0)
    entropy = np.log([[20.0, 20, 20], [20, 4, 20]])
    np.testing.assert_allclose(scores.entropy[:2, :3], entropy, rtol=1e-5)
    np.testing.assert_allclose(scores.token_log_probs[:2, :3], -entropy, rtol=1e-5)
    assert not np.any(np.asarray(scores.entropy)[~mask])
    assert not np.any(np.asarray(scores.token_log_probs)[~mask])


def test_sampling_follows_the_distribution() -> None:
    """One slot has the logits (0, log 3, -), and the third token is illegal.

    The frequencies are 1/4 and 3/4, with the deviation sqrt(3/16/4000) = 0.007.
    """
    constraint = FastConstraint.from_moves(
        np.array([[1, 1, 2]], np.int32), np.zeros((1, 3), np.int32), max_tokens=1, total=1
    )
    logits = jnp.tile(jnp.array([0.0, math.log(3), 9.0]), (4000, 1))
    samples = decoding.sample(
        ConstrainedDecoder(constraint, dataclasses.replace(TOKEN_IDS, num_fast=3)),
        (logits, None),
        lambda carry, ids, step: (logits, carry),
        key=jax.random.key(0),
        temperature=1.0,
        greedy=False,
    )
    fast_ids = np.asarray(samples.choices)[:, 0]
    assert set(fast_ids) == {0, 1}
    assert np.mean(fast_ids == 1) == pytest.approx(0.75, abs=0.03)
    np.testing.assert_allclose(samples.log_probs[:, 0], np.log(np.where(fast_ids == 1, 0.75, 0.25)), rtol=1e-5)


def test_chunk_log_prob_and_observation_value(
    compiled: Compiled, observation: ModelObservation, sampled: Sample
) -> None:
    log_prob = jax.jit(compiled.policy.compute_action_chunk_log_prob)(
        compiled.params, observation, sampled.action_tokens, sampled.token_mask, temperature=1.0
    )
    np.testing.assert_allclose(log_prob, sampled.token_log_probs.sum(axis=1), rtol=1e-4)
    value = jax.jit(compiled.policy.compute_observation_value)(compiled.params, observation)
    np.testing.assert_allclose(value, sampled.value, atol=1e-4)
    assert np.ptp(value) > 1e-3


@pytest.mark.parametrize("detach", [True, False])
def test_value_gradient_reaches_the_backbone_only_when_asked(observation: ModelObservation, detach: bool) -> None:
    policy = make_policy(detach_value=detach)
    params = policy.init(key=jax.random.key(0))

    def squares(params: Any) -> jax.Array:
        return jnp.sum(policy.compute_observation_value(params, observation) ** 2)

    value_and_gradient = jax.jit(jax.value_and_grad(squares))
    assert value_and_gradient(params)[0] == 0
    params["value_head"]["output"]["kernel"] += 1.0
    _, gradient = value_and_gradient(params)
    backbone = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(gradient["actor_backbone"]))
    assert (backbone == 0) == detach
    assert float(jnp.max(jnp.abs(gradient["value_head"]["hidden"]["kernel"]))) > 0


def test_gradients_are_finite_and_reach_every_parameter(
    compiled: Compiled, observation: ModelObservation, sampled: Sample
) -> None:
    def loss(params: Any) -> jax.Array:
        scores = compiled.policy.evaluate(
            params, observation, sampled.action_tokens, sampled.token_mask, temperature=1.0
        )
        return jnp.sum(scores.token_log_probs) + jnp.sum(scores.value.mean) + jnp.sum(scores.entropy)

    for path, leaf in jax.tree.leaves_with_path(jax.jit(jax.grad(loss))(compiled.params)):
        assert np.all(np.isfinite(leaf)), path
        is_key_bias = "'key'" in str(path) and "bias" in str(path)  # softmax does not see what all keys share
        assert is_key_bias or np.any(leaf), path


def test_bfloat16_computes_within_its_rounding(
    compiled: Compiled, observation: ModelObservation, sampled: Sample
) -> None:
    coarse = make_policy(dtype="bfloat16")
    scores = jax.jit(coarse.evaluate)(
        compiled.params, observation, sampled.action_tokens, sampled.token_mask, temperature=1.0
    )
    assert scores.token_log_probs.dtype == jnp.float32
    np.testing.assert_allclose(scores.token_log_probs, sampled.token_log_probs, atol=0.3)


def test_gemma_2b_traces_with_the_published_vocabulary() -> None:
    """The test computes shapes only, so that nothing is allocated."""
    config = MODELS["gemma_2b"]
    token_ids = TokenIds(257152, num_fast=2048, skip=128, action_prefix=(4022, 235292, 235248), bar=235371, end=1)
    policy = Pi0FASTActorCritic(config, token_ids, make_constraint(config, num_fast=2048))
    params = jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))
    observation = make_observation(config, 1)
    sample = jax.eval_shape(
        lambda p, o: policy.sample_actions(p, o, key=jax.random.key(0), temperature=1.0), params, observation
    )
    assert sample.action_tokens.shape == (1, 150)
    scores = jax.eval_shape(
        lambda p, o, s: policy.evaluate(p, o, s.action_tokens, s.token_mask, temperature=1.0),
        params,
        observation,
        sample,
    )
    assert scores.token_log_probs.shape == scores.entropy.shape == (1, 150)
    assert scores.value.logits.shape == (1, 1)


def test_parts_of_different_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"token_ids.vocab_size must be 256 \(model.vocab_size\), got 128"):
        make_policy(vocab_size=256)
    constraint = dataclasses.replace(make_constraint(CONFIG), max_tokens=5)
    with pytest.raises(ValueError, match=r"constraint.max_tokens must be 10 .* got 5"):
        Pi0FASTActorCritic(CONFIG, TOKEN_IDS, constraint)
    constraint = dataclasses.replace(make_constraint(CONFIG), total=13)
    with pytest.raises(ValueError, match=r"constraint.total must be 12 .* got 13"):
        Pi0FASTActorCritic(CONFIG, TOKEN_IDS, constraint)
    with pytest.raises(ValueError, match=r"FAST tokens must be 24 .* got 30"):
        Pi0FASTActorCritic(CONFIG, TOKEN_IDS, make_constraint(CONFIG, num_fast=30))
