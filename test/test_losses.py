"""The PPO loss on chunks: numbers by hand, and gradients that are exactly zero where the clip binds."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_policy import ToyEvaluation

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.value_support import ValueEstimate, ValueSupport

CONFIG = config_lib.PPOConfig(clip_coef=0.2, vf_coef=0.5, ent_coef=0.1, value_huber_delta=1.0)


def test_log_ratio_sums_over_sampled_tokens_only():
    # Row 0: (-1 + 2) + (-3 + 2) = 0 with a pad that differs by 9. Row 1: only the first token counts: -1 + 1.5 = 0.5.
    new = jnp.array([[-1.0, -3.0, -9.0], [-1.0, -5.0, -5.0]])
    old = jnp.array([[-2.0, -2.0, 0.0], [-1.5, 0.0, 0.0]])
    mask = jnp.array([[True, True, False], [True, False, False]])
    np.testing.assert_array_equal(losses.chunk_log_ratio(new, old, mask), [0.0, 0.5])


def test_ratio_is_limited():
    ratio = losses.chunk_ratio(jnp.array([-100.0, 0.0, 100.0]), log_ratio_clamp=2.0)
    np.testing.assert_allclose(ratio, [np.exp(-2.0), 1.0, np.exp(2.0)], rtol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.1, 2.0, -2.2, -2.0),  # within the band: -rho A
        (0.9, -2.0, 1.8, 2.0),
        (1.5, 2.0, -2.4, 0.0),  # more of a good chunk than 1.2: clipped, -1.2 * 2
        (0.5, -2.0, 1.6, 0.0),  # less of a bad chunk than 0.8: clipped, 0.8 * 2
        (0.5, 2.0, -1.0, -2.0),  # less of a good chunk: not clipped, so that it can come back
        (1.5, -2.0, 3.0, 2.0),  # more of a bad chunk: likewise
    ],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, gradient):
    def scalar(ratio):
        return losses.clipped_surrogate(ratio, jnp.float32(advantage), clip_coef=0.2)

    got, slope = jax.value_and_grad(scalar)(jnp.float32(ratio))
    np.testing.assert_allclose(got, loss, rtol=1e-6)
    assert slope == gradient


def test_approximate_kl_by_hand():
    # (2 - 1) - ln 2, and 0 where nothing moved.
    np.testing.assert_allclose(losses.approximate_kl(jnp.array([1.0, 2.0])), [0.0, 1.0 - np.log(2.0)], rtol=1e-6)


def test_normalize_uses_the_chunks_under_the_mask():
    # Mean 2, deviation sqrt(((1-2)^2 + (3-2)^2)/2) = 1 over the first two; the third is shifted and scaled like them.
    normalized = losses.normalize(jnp.array([1.0, 3.0, 10.0]), jnp.array([True, True, False]))
    np.testing.assert_allclose(normalized, [-1.0, 1.0, 8.0], rtol=1e-6)


def test_equal_advantages_normalize_to_zero():
    np.testing.assert_array_equal(losses.normalize(jnp.array([3.0, 3.0]), jnp.array([True, True])), [0.0, 0.0])


def minibatch(policy_mask=(True, True, True)):
    """Three chunks of two tokens with log ratios ln 1.1, ln 1.5 and ln 0.5."""
    log_ratio = np.log([1.1, 1.5, 0.5])
    evaluation = ToyEvaluation(
        token_log_probs=jnp.stack([jnp.array(log_ratio) - 1.0, jnp.full(3, -1.0)], axis=-1),
        entropy=jnp.array([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]]),
        value=ValueEstimate.scalar(jnp.array([0.0, 1.0, 5.0])),
    )
    arguments = {
        "old_log_probs": jnp.full((3, 2), -1.0),
        "token_mask": jnp.ones((3, 2), bool),
        "policy_mask": jnp.array(policy_mask),
        "advantages": jnp.array([2.0, 2.0, -2.0]),
        "returns": jnp.array([1.0, 1.0, 1.0]),
        "config": CONFIG,
    }
    return evaluation, arguments


def test_loss_by_hand():
    # policy: (-1.1*2 - 1.2*2 + 0.8*2) / 3 = -1
    # value, Huber with delta 1, errors 1, 0, 4: (0.5 + 0 + (4 - 0.5)) / 3 = 4/3
    # entropy: means of the chunks 2, 3, 4; mean 3
    # total: -1 + 0.5 * 4/3 - 0.1 * 3 = -19/30
    evaluation, arguments = minibatch()
    loss, metrics = losses.ppo_loss(evaluation, **arguments)
    np.testing.assert_allclose(metrics.policy, -1.0, rtol=1e-6)
    np.testing.assert_allclose(metrics.value, 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics.entropy, 3.0, rtol=1e-6)
    np.testing.assert_allclose(loss, -19 / 30, rtol=1e-6)
    np.testing.assert_allclose(metrics.ratio_mean, 3.1 / 3, rtol=1e-6)
    np.testing.assert_allclose((metrics.ratio_min, metrics.ratio_max), (0.5, 1.5), rtol=1e-6)
    np.testing.assert_allclose(metrics.clip_fraction, 2 / 3, rtol=1e-6)  # 1.5 and 0.5 are outside 0.8..1.2
    expected_kl = np.mean([ratio - 1.0 - np.log(ratio) for ratio in (1.1, 1.5, 0.5)])
    np.testing.assert_allclose(metrics.approx_kl, expected_kl, rtol=1e-5)


def test_the_values_of_observation_and_chunk_have_the_same_loss():
    # Errors of the chunk's value 0, 0 and 2: (2 - 0.5) / 3 = 0.5, which adds 0.5 * 0.5 to the -19/30 above.
    evaluation, arguments = minibatch()
    both = evaluation.replace(chunk_value=ValueEstimate.scalar(jnp.array([1.0, 1.0, 3.0])))
    loss, metrics = losses.ppo_loss(both, **arguments)
    np.testing.assert_allclose(metrics.chunk_value, 0.5, rtol=1e-6)
    np.testing.assert_allclose(metrics.value, 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(loss, -19 / 30 + 0.25, rtol=1e-6)
    assert losses.ppo_loss(evaluation, **arguments)[1].chunk_value is None


def test_a_histogram_has_a_cross_entropy_and_its_range():
    # Equal logits of four bins: ln 4 whatever the target. Of the returns -2, 1 and 7 one is beyond -3..5.
    evaluation, arguments = minibatch()
    arguments["returns"] = jnp.array([-2.0, 1.0, 7.0])
    estimate = ValueEstimate(jnp.zeros((3, 4)), ValueSupport(bins=4, low=-3.0, high=5.0))
    _, metrics = losses.ppo_loss(evaluation.replace(value=estimate), **arguments)
    np.testing.assert_allclose(metrics.value, np.log(4.0), rtol=1e-6)
    np.testing.assert_allclose(metrics.clipped_returns, 1 / 3, rtol=1e-6)
    assert losses.ppo_loss(evaluation, **arguments)[1].clipped_returns == 0.0


def test_a_chunk_taken_over_counts_in_the_value_loss_only():
    # policy over chunks 0 and 1: (-2.2 - 2.4) / 2 = -2.3; entropy (2 + 3) / 2; the value loss stays 4/3.
    evaluation, arguments = minibatch(policy_mask=(True, True, False))
    _, metrics = losses.ppo_loss(evaluation, **arguments)
    np.testing.assert_allclose(metrics.policy, -2.3, rtol=1e-6)
    np.testing.assert_allclose(metrics.entropy, 2.5, rtol=1e-6)
    np.testing.assert_allclose(metrics.value, 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics.ratio_min, 1.1, rtol=1e-6)
    assert metrics.num_policy_chunks == 2


def test_without_policy_chunks_only_the_value_learns():
    evaluation, arguments = minibatch(policy_mask=(False, False, False))

    def loss(token_log_probs, entropy):
        changed = evaluation.replace(token_log_probs=token_log_probs, entropy=entropy)
        return losses.ppo_loss(changed, **arguments)[0]

    gradients = jax.grad(loss, argnums=(0, 1))(evaluation.token_log_probs, evaluation.entropy)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros((3, 2)))


def test_gradients_are_exactly_zero_where_the_clip_binds():
    evaluation, arguments = minibatch()
    arguments["config"] = config_lib.PPOConfig(clip_coef=0.2, ent_coef=0.0)

    def loss(token_log_probs):
        return losses.ppo_loss(evaluation.replace(token_log_probs=token_log_probs), **arguments)[0]

    gradient = jax.grad(loss)(evaluation.token_log_probs)
    np.testing.assert_array_equal(gradient[1:], np.zeros((2, 2)))
    # d/dlogp of -rho A / 3 is -rho A / 3 = -2.2 / 3 for each token of the chunk within the band.
    np.testing.assert_allclose(gradient[0], [-2.2 / 3, -2.2 / 3], rtol=1e-6)


def test_jit_equals_no_jit():
    evaluation, arguments = minibatch()
    config = arguments.pop("config")
    plain = losses.ppo_loss(evaluation, **arguments, config=config)
    jitted = jax.jit(lambda evaluation, arguments: losses.ppo_loss(evaluation, **arguments, config=config))
    for expected, got in zip(jax.tree.leaves(plain), jax.tree.leaves(jitted(evaluation, arguments)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
