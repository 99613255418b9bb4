"""Tests the PPO loss on chunks by numbers by hand, and gradients that are exactly zero where the clip binds."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.value_distribution import ValueDistribution, ValueEstimate
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.ratios import LEVELS
from support.toy_policy import ToyScores


@functools.cache
def compiled(config):
    return jax.jit(functools.partial(losses.ppo_loss, config=config))


@functools.cache
def compiled_gradient(config):
    def loss(token_log_probs, entropy, value, inputs):
        evaluation = ToyScores(token_log_probs, entropy, ValueEstimate.scalar(value))
        return losses.ppo_loss(evaluation, inputs, config=config)[0]

    return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))


def ppo_loss(evaluation, inputs, *, config):
    """Returns the loss, which is compiled once for each configuration. Not compiled, it takes ten times as long."""
    return compiled(config)(evaluation, inputs)


def gradients(evaluation, inputs, *, config):
    """Returns the gradients of the loss by token log-probs, entropy and value."""
    return compiled_gradient(config)(evaluation.token_log_probs, evaluation.entropy, evaluation.value.mean, inputs)


CONFIG = config_lib.PPOConfig(clip_coef=0.2, vf_coef=0.5, ent_coef=0.1, value_huber_delta=1.0)


def test_normalize_uses_the_chunks_under_the_mask():
    # The first two have the mean 2 and the deviation sqrt(((1-2)^2 + (3-2)^2)/2) = 1. The third is shifted and scaled
    # like them.
    normalized = losses.normalize(jnp.array([1.0, 3.0, 10.0]), jnp.array([True, True, False]))
    np.testing.assert_allclose(normalized, [-1.0, 1.0, 8.0], rtol=1e-6)


def test_equal_advantages_normalize_to_zero():
    np.testing.assert_array_equal(losses.normalize(jnp.array([3.0, 3.0]), jnp.array([True, True])), [0.0, 0.0])


def minibatch(policy_mask=(True, True, True)):
    """Returns three chunks of two tokens with log ratios ln 1.1, ln 1.5 and ln 0.5."""
    log_ratio = np.log([1.1, 1.5, 0.5])
    evaluation = ToyScores(
        token_log_probs=jnp.stack([jnp.array(log_ratio) - 1.0, jnp.full(3, -1.0)], axis=-1),
        entropy=jnp.array([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]]),
        value=ValueEstimate.scalar(jnp.array([0.0, 1.0, 5.0])),
    )
    inputs = losses.LossInputs(
        old_log_probs=jnp.full((3, 2), -1.0),
        reference_log_probs=None,
        token_mask=jnp.ones((3, 2), bool),
        policy_mask=jnp.array(policy_mask),
        human_mask=jnp.zeros(3, bool),
        advantages=jnp.array([2.0, 2.0, -2.0]),
        returns=jnp.array([1.0, 1.0, 1.0]),
    )
    return evaluation, inputs


def test_loss_by_hand():
    # The policy loss is (-1.1*2 - 1.2*2 + 0.8*2) / 3 = -1. The value loss is Huber's with delta 1, and the errors 1, 0,
    # 4 give (0.5 + 0 + (4 - 0.5)) / 3 = 4/3. The entropy has the means 2, 3, 4 of the chunks, with the mean 3. The
    # total is -1 + 0.5 * 4/3 - 0.1 * 3 = -19/30.
    evaluation, inputs = minibatch()
    loss, metrics = ppo_loss(evaluation, inputs, config=CONFIG)
    np.testing.assert_allclose(metrics["loss/policy"], -1.0, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/value"], 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/entropy"], 3.0, rtol=1e-6)
    np.testing.assert_allclose(loss, -19 / 30, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/mean"], 3.1 / 3, rtol=1e-6)
    np.testing.assert_allclose((metrics["ratio/min"], metrics["ratio/max"]), (0.5, 1.5), rtol=1e-6)
    np.testing.assert_allclose(metrics["clip_fraction/chunk"], 2 / 3, rtol=1e-6)  # 1.5 and 0.5 are outside 0.8..1.2
    # Only the first tokens moved. The roots of the ratios, 1.05, 1.22 and 0.71, are the means over two tokens.
    np.testing.assert_allclose(metrics["clip_fraction/token"], 2 / 6, rtol=1e-6)
    np.testing.assert_allclose(metrics["clip_fraction/sequence_mean"], 2 / 3, rtol=1e-6)
    expected_kl = np.mean([ratio - 1.0 - np.log(ratio) for ratio in (1.1, 1.5, 0.5)])
    np.testing.assert_allclose(metrics["kl/approx"], expected_kl, rtol=1e-5)
    np.testing.assert_allclose(metrics["kl/k2"], np.mean(np.log([1.1, 1.5, 0.5]) ** 2) / 2, rtol=1e-5)


def test_the_values_of_observation_and_chunk_have_the_same_loss():
    # The errors of the chunk's value 0, 0 and 2 give (2 - 0.5) / 3 = 0.5, which adds 0.5 * 0.5 to the -19/30 above.
    evaluation, inputs = minibatch()
    both = evaluation.replace(chunk_value=ValueEstimate.scalar(jnp.array([1.0, 1.0, 3.0])))
    loss, metrics = ppo_loss(both, inputs, config=CONFIG)
    np.testing.assert_allclose(metrics["loss/chunk_value"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/value"], 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(loss, -19 / 30 + 0.25, rtol=1e-6)
    assert "loss/chunk_value" not in ppo_loss(evaluation, inputs, config=CONFIG)[1]


def test_a_histogram_has_a_cross_entropy_and_its_range():
    # Equal logits of four bins cost ln 4 whatever the target is. Of the returns -2, 1 and 7 one is beyond -3..5.
    evaluation, inputs = minibatch()
    inputs = inputs.replace(returns=jnp.array([-2.0, 1.0, 7.0]))
    estimate = ValueEstimate(jnp.zeros((3, 4)), ValueDistribution(bins=4, low=-3.0, high=5.0))
    _, metrics = ppo_loss(evaluation.replace(value=estimate), inputs, config=CONFIG)
    np.testing.assert_allclose(metrics["loss/value"], np.log(4.0), rtol=1e-6)
    np.testing.assert_allclose(metrics["value/clipped_returns"], 1 / 3, rtol=1e-6)
    assert ppo_loss(evaluation, inputs, config=CONFIG)[1]["value/clipped_returns"] == 0.0


def test_a_chunk_taken_over_counts_in_the_value_loss_only():
    # The policy loss over chunks 0 and 1 is (-2.2 - 2.4) / 2 = -2.3, and the entropy is (2 + 3) / 2. The value loss
    # stays 4/3.
    evaluation, inputs = minibatch(policy_mask=(True, True, False))
    _, metrics = ppo_loss(evaluation, inputs, config=CONFIG)
    np.testing.assert_allclose(metrics["loss/policy"], -2.3, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/entropy"], 2.5, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/value"], 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/min"], 1.1, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/mean"], (1.1 + 1.5) / 2, rtol=1e-6)


def test_without_policy_chunks_only_the_value_learns():
    evaluation, inputs = minibatch(policy_mask=(False, False, False))
    log_probs, entropy, value = gradients(evaluation, inputs, config=CONFIG)
    np.testing.assert_array_equal(log_probs, np.zeros((3, 2)))
    np.testing.assert_array_equal(entropy, np.zeros((3, 2)))
    assert value[0] != 0.0


def test_gradients_are_exactly_zero_where_the_clip_binds():
    evaluation, inputs = minibatch()
    gradient, _, _ = gradients(evaluation, inputs, config=CONFIG)
    np.testing.assert_array_equal(gradient[1:], np.zeros((2, 2)))
    # d/dlogp of -rho A / 3 is -rho A / 3 = -2.2 / 3 for each token of the chunk within the clip range.
    np.testing.assert_allclose(gradient[0], [-2.2 / 3, -2.2 / 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("level", "zero"),
    [
        ("token", [[False, False], [True, False], [True, False]]),  # the token that left the clip range, not its mate
        ("sequence_mean", [[False, False], [True, True], [True, True]]),
    ],
)
def test_at_other_levels_they_are_zero_where_theirs_binds(level, zero):
    evaluation, inputs = minibatch()
    gradient, _, _ = gradients(evaluation, inputs, config=config_lib.PPOConfig(ratio=level))
    np.testing.assert_array_equal(gradient == 0.0, zero)


def test_jit_equals_no_jit():
    evaluation, inputs = minibatch()
    plain = losses.ppo_loss(evaluation, inputs, config=CONFIG)
    for expected, got in zip(
        jax.tree.leaves(plain), jax.tree.leaves(compiled(CONFIG)(evaluation, inputs)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_an_upper_clip_range_of_its_own_lets_good_chunks_grow():
    # With 0.2 and 0.6 the ratio 1.5 of the good chunk is within the clip range, 0.5 of the bad one still is not:
    # (-1.1*2 - 1.5*2 + 0.8*2) / 3 = -3.6 / 3
    evaluation, inputs = minibatch()
    config = config_lib.PPOConfig(clip_coef=0.2, clip_coef_high=0.6)
    _, metrics = ppo_loss(evaluation, inputs, config=config)
    np.testing.assert_allclose(metrics["loss/policy"], -1.2, rtol=1e-6)
    np.testing.assert_allclose(metrics["clip_fraction/chunk"], 1 / 3, rtol=1e-6)


def test_the_loss_of_tokens_adds_up_within_a_chunk():
    # The token ratios are (1.1, 1), (1.5, 1), (0.5, 1) with the advantages 2, 2, -2. The chunks give -2.2 - 2, -2.4 - 2
    # and 1.6 + 2. Their mean is (-4.2 - 4.4 + 3.6) / 3 = -5/3.
    evaluation, inputs = minibatch()
    _, metrics = ppo_loss(evaluation, inputs, config=config_lib.PPOConfig(ratio="token"))
    np.testing.assert_allclose(metrics["loss/policy"], -5 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/mean"], (1.1 + 1.5 + 0.5 + 3.0) / 6, rtol=1e-6)


def test_the_loss_of_the_mean_token_is_weighted_by_the_number_of_tokens():
    # The ratios are sqrt(1.1), sqrt(1.5) -> 1.2 and sqrt(0.5) -> 0.8, with two tokens each. The loss is 2 (-2 sqrt(1.1)
    # - 2.4 + 1.6) / 3.
    evaluation, inputs = minibatch()
    _, metrics = ppo_loss(evaluation, inputs, config=config_lib.PPOConfig(ratio="sequence_mean"))
    np.testing.assert_allclose(metrics["loss/policy"], 2 * (-2 * np.sqrt(1.1) - 0.8) / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/min"], np.sqrt(0.5), rtol=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_all_levels_have_the_gradient_of_the_chunk_where_nothing_moved(level):
    # At ratio 1 each sampled token's log-prob has the gradient -A / 3. The pad of chunk 1 has none.
    evaluation, inputs = minibatch()
    inputs = inputs.replace(token_mask=jnp.array([[True, True], [True, False], [True, True]]))
    unmoved = evaluation.replace(token_log_probs=inputs.old_log_probs)
    gradient, _, _ = gradients(unmoved, inputs, config=config_lib.PPOConfig(ratio=level))
    np.testing.assert_allclose(gradient, np.array([[-2.0, -2.0], [-2.0, 0.0], [2.0, 2.0]]) / 3, rtol=1e-6)


def test_beyond_the_clamp_of_the_log_ratio_there_is_no_gradient():
    # A bad chunk that became e^3 or e^1.8 times likelier is not clipped, but the log-ratio's bound of 2 stops the one.
    evaluation, inputs = minibatch()
    inputs = inputs.replace(advantages=jnp.full(3, -2.0))
    moved = evaluation.replace(token_log_probs=inputs.old_log_probs + jnp.array([[1.5], [0.9], [0.0]]))
    gradient, _, _ = gradients(moved, inputs, config=config_lib.PPOConfig(log_ratio_clamp=2.0))
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
    np.testing.assert_allclose(gradient[1:, 0], [2 * np.exp(1.8) / 3, 2 / 3], rtol=1e-6)


HUMAN = jnp.array([False, False, True])


def test_a_chunk_that_a_human_drove_counts_in_cloning_only():
    # Chunks 0 and 1 are the policy's. Their policy loss is (-2.2 - 2.4) / 2, their value loss (0.5 + 0) / 2, and their
    # entropy (2 + 3) / 2. Chunk 2 is cloned, which costs -(ln 0.5 - 1 - 1) = 2 + ln 2, over the three chunks that train
    # the policy.
    evaluation, inputs = minibatch(policy_mask=(True, True, False))
    config = dataclasses.replace(CONFIG, bc_coef=3.0)
    loss, metrics = ppo_loss(evaluation, inputs.replace(human_mask=HUMAN), config=config)
    cloning = (2.0 + np.log(2.0)) / 3
    np.testing.assert_allclose(metrics["loss/cloning"], cloning, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/policy"], -2.3, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/value"], 0.25, rtol=1e-6)
    np.testing.assert_allclose(loss, -2.3 + 0.5 * 0.25 - 0.1 * 2.5 + 3.0 * cloning, rtol=1e-6)
    np.testing.assert_allclose(metrics["ratio/min"], 1.1, rtol=1e-6)


@pytest.mark.parametrize("bc_coef", [0.0, 3.0])
def test_the_gradient_of_human_chunks_is_that_of_cloning_alone(bc_coef):
    evaluation, inputs = minibatch(policy_mask=(True, True, False))
    config = dataclasses.replace(CONFIG, bc_coef=bc_coef)
    log_probs, entropy, value = gradients(evaluation, inputs.replace(human_mask=HUMAN), config=config)
    np.testing.assert_allclose(log_probs[2], np.full(2, -bc_coef / 3), rtol=1e-6)
    np.testing.assert_array_equal(entropy[2], [0.0, 0.0])
    assert value[2] == 0.0 and value[0] != 0.0


def test_the_entropy_of_sampled_tokens_is_raised():
    # The gradient of -0.1 * mean entropy is -0.1 / 3 chunks / 2 tokens each. The pad has none, and the other token of
    # its chunk has all.
    evaluation, inputs = minibatch()
    inputs = inputs.replace(token_mask=jnp.array([[True, True], [True, False], [True, True]]))
    _, entropy, _ = gradients(evaluation, inputs, config=CONFIG)
    np.testing.assert_allclose(entropy, [[-0.1 / 6, -0.1 / 6], [-0.1 / 3, 0.0], [-0.1 / 6, -0.1 / 6]], rtol=1e-6)


def test_distance_to_the_reference_by_hand():
    # With reference log-probs -1 the differences are (ln 1.1, 0), (ln 1.5, 0), (ln 0.5, 0), of which half squares are
    # taken. Chunk 2 is cut short.
    evaluation, inputs = minibatch(policy_mask=(True, True, False))
    inputs = inputs.replace(reference_log_probs=jnp.full((3, 2), -1.0))
    config = dataclasses.replace(CONFIG, ref_kl_coef=2.0)
    without, _ = ppo_loss(evaluation, inputs.replace(reference_log_probs=None), config=config)
    loss, metrics = ppo_loss(evaluation, inputs, config=config)
    expected = (np.log(1.1) ** 2 + np.log(1.5) ** 2) / 4
    np.testing.assert_allclose(metrics["loss/reference"], expected, rtol=1e-5)
    np.testing.assert_allclose(loss - without, 2.0 * expected, rtol=1e-4)


def test_the_mean_gradient_of_the_distance_is_that_of_the_kl():
    # Over all tokens weighted by their probability, the gradient of 1/2 (ln pi - ln ref)^2 is that of the exact KL.
    logits, reference = jnp.array([0.3, -0.5, 1.0]), jax.nn.log_softmax(jnp.array([0.0, 0.7, -0.2]))

    def exact(logits):
        log_probs = jax.nn.log_softmax(logits)
        return jnp.sum(jnp.exp(log_probs) * (log_probs - reference))

    def sampled(logits):
        log_probs = jax.nn.log_softmax(logits)
        each = losses.reference_loss(log_probs[:, None], reference[:, None], jnp.ones((3, 1), bool))
        return jnp.sum(jax.lax.stop_gradient(jnp.exp(log_probs)) * each)

    np.testing.assert_allclose(jax.grad(sampled)(logits), jax.grad(exact)(logits), rtol=1e-5, atol=1e-7)


def test_parts_that_share_their_counts_add_up_to_the_whole():
    # The second part has a chunk taken over and a pad, so that means of the parts would not average to the whole.
    evaluation, inputs = minibatch(policy_mask=(True, True, False))
    inputs = inputs.replace(
        token_mask=jnp.array([[True, True], [True, False], [True, True]]),
        reference_log_probs=jnp.full((3, 2), -0.5),
        human_mask=HUMAN,
    )
    config = dataclasses.replace(CONFIG, ratio="token", ref_kl_coef=0.5, bc_coef=0.5)
    counts = losses.Counts.of(inputs.token_mask, inputs.policy_mask, inputs.human_mask)
    loss_of = compiled(config)
    whole, metrics = loss_of(evaluation, inputs)
    rows = [jax.tree.map(lambda leaf, row=row: leaf[np.array(row)], (evaluation, inputs)) for row in ([0], [1, 2])]
    parts = [loss_of(*part, counts=counts) for part in rows]
    np.testing.assert_allclose(sum(loss for loss, _ in parts), whole, rtol=1e-6)
    joined = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(part for _, part in parts)).joined()
    for got, expected in zip(jax.tree.leaves(joined), jax.tree.leaves(metrics), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
