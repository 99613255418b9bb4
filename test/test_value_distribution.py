"""Tests what a value head's outputs mean: histograms by hand, beside scipy's normal distribution, and inverses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.value_distribution import ValueDistribution, ValueEstimate

TWO = ValueDistribution(bins=2, low=-1.0, high=1.0)
MANY = ValueDistribution(bins=41, low=-4.0, high=6.0)
WIDTH = 10.0 / 41


def test_two_bins_by_hand():
    # The bins are -1..0 and 0..1 with width 1 and sigma 0.75. Around 0.5 the edges are at -2, -2/3 and 2/3 deviations,
    # with Phi = 0.022750, 0.252493, 0.747507. The masses are 0.229742 and 0.495015, together 0.724757, and the shares
    # are 0.316992 and 0.683008. The mean is (0.683008 - 0.316992) / 2 = 0.183008. Around 0 both bins have one half.
    target = TWO.target(jnp.array([0.5, 0.0]))
    np.testing.assert_allclose(target, [[0.316992, 0.683008], [0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(TWO.mean(jnp.log(target)), [0.183008, 0.0], atol=1e-6)
    np.testing.assert_array_equal(TWO.centers, [-0.5, 0.5])


def test_cross_entropy_by_hand():
    # Logits (0, ln 3) are shares 1/4 and 3/4. With the target of 0.5 the loss is -0.316992 ln 0.25 - 0.683008 ln 0.75 =
    # 0.635936.
    logits = jnp.array([0.0, jnp.log(3.0)])
    loss, gradient = jax.value_and_grad(TWO.loss)(logits, jnp.float32(0.5), huber_delta=1.0)
    np.testing.assert_allclose(loss, 0.635936, atol=1e-5)
    np.testing.assert_allclose(gradient, [0.25 - 0.316992, 0.75 - 0.683008], atol=1e-6)
    np.testing.assert_allclose(TWO.mean(logits), 0.25, rtol=1e-6)


@pytest.mark.parametrize("bins", [2, 11, 101])
def test_targets_are_those_of_a_normal_distribution(bins):
    """In float32 an edge near 7 is 2.4e-7 off. At 101 bins that is 3.2e-6 standard deviations, 1.3e-6 of a probability.

    A value is off as much, and the difference of two probabilities twice as much: 5.2e-6 at most.
    """
    low, high = -3.0, 7.0
    edges = np.linspace(low, high, bins + 1)
    for value in (-3.0, -0.4, 0.0, 6.6):
        below = scipy.stats.norm.cdf(edges, loc=value, scale=0.75 * (high - low) / bins)
        expected = np.diff(below) / (below[-1] - below[0])
        np.testing.assert_allclose(ValueDistribution(bins, low, high).target(jnp.float32(value)), expected, atol=6e-6)


@settings(deadline=None)
@given(st.floats(-4.0, 6.0))
def test_the_mean_of_a_target_is_the_return(value):
    """The mean is within half a bin of the return, from half a bin inside of the range on.

    At the very ends of the range it is within 0.7 bins.
    """
    found = float(MANY.mean(jnp.log(jnp.maximum(MANY.target(jnp.float32(value)), 1e-30))))
    from_end = min(value - MANY.low, MANY.high - value) / WIDTH
    allowed = 0.01 if from_end >= 2 else 0.5 if from_end >= 0.5 else 0.7
    assert abs(found - value) <= allowed * WIDTH
    assert MANY.low < found < MANY.high


def test_returns_beyond_the_range_count_as_its_ends_and_are_counted():
    returns = jnp.array([-9.0, -4.0, 0.0, 6.0, 6.1])
    np.testing.assert_array_equal(MANY.is_beyond(returns), [True, False, False, False, True])
    np.testing.assert_array_equal(MANY.target(returns)[jnp.array([0, 4])], MANY.target(returns)[jnp.array([1, 3])])
    assert not np.any(ValueDistribution().is_beyond(returns))


def test_one_bin_is_the_value_with_hubers_loss():
    # The errors are 1 and 4 with delta 2, and cost 1/2 and 2 * (4 - 1) = 6.
    estimate = ValueEstimate.scalar(jnp.array([0.0, 5.0]))
    np.testing.assert_array_equal(estimate.mean, [0.0, 5.0])
    np.testing.assert_array_equal(estimate.loss(jnp.array([1.0, 1.0]), huber_delta=2.0), [0.5, 6.0])


@pytest.mark.parametrize("distribution", [ValueDistribution(), TWO, MANY])
def test_no_gradient_flows_into_returns(distribution):
    estimate = ValueEstimate(jnp.ones((3, distribution.bins)), distribution)
    gradient = jax.grad(lambda returns: jnp.sum(estimate.loss(returns, huber_delta=1.0)))(jnp.arange(3.0))
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_a_fitted_histogram_predicts_the_mean_of_noisy_returns():
    """Half of the returns are -1 and half are 2.

    The best histogram is the mean of both targets, and its mean is 0.5.
    """
    returns = jnp.array([-1.0, 2.0])
    best = jnp.log(jnp.mean(MANY.target(returns), axis=0))
    gradient = jax.grad(lambda logits: jnp.mean(MANY.loss(jnp.stack([logits, logits]), returns, huber_delta=1.0)))(best)
    np.testing.assert_allclose(gradient, np.zeros(41), atol=1e-6)
    np.testing.assert_allclose(MANY.mean(best), 0.5, atol=1e-4)


def test_the_configuration_names_the_distribution():
    config = Pi0FASTActorCriticConfig(value_bins=51, value_min=-1.0, value_max=2.0)
    assert ValueDistribution.from_config(config) == ValueDistribution(51, -1.0, 2.0)
    assert not ValueDistribution.from_config(Pi0FASTActorCriticConfig()).is_histogram
