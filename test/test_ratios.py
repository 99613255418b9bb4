"""Tests ratios at three levels, their clipped surrogate and the estimates of the KL, by numbers by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.rl import ratios


def test_log_ratio_sums_over_sampled_tokens_only():
    # Row 0 is (-1 + 2) + (-3 + 2) = 0 with a pad that differs by 9. In row 1 only the first token counts: -1 + 1.5 =
    # 0.5.
    new = jnp.array([[-1.0, -3.0, -9.0], [-1.0, -5.0, -5.0]])
    old = jnp.array([[-2.0, -2.0, 0.0], [-1.5, 0.0, 0.0]])
    mask = jnp.array([[True, True, False], [True, False, False]])
    np.testing.assert_array_equal(ratios.chunk_log_ratio(new, old, mask), [0.0, 0.5])


def test_ratio_is_limited():
    ratio = ratios.limited_exp(jnp.array([-100.0, 0.0, 100.0]), limit=2.0)
    np.testing.assert_allclose(ratio, [np.exp(-2.0), 1.0, np.exp(2.0)], rtol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.1, 2.0, -2.2, -2.0),  # within the clip range: -rho A
        (0.9, -2.0, 1.8, 2.0),
        (1.5, 2.0, -2.4, 0.0),  # more of a good chunk than 1.2: clipped, -1.2 * 2
        (0.5, -2.0, 1.6, 0.0),  # less of a bad chunk than 0.8: clipped, 0.8 * 2
        (0.5, 2.0, -1.0, -2.0),  # less of a good chunk: not clipped, so that it can come back
        (1.5, -2.0, 3.0, 2.0),  # more of a bad chunk: likewise
    ],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, gradient):
    def scalar(ratio):
        return ratios.clipped_surrogate(ratio, jnp.float32(advantage), clip_range=(0.8, 1.2))

    got, slope = jax.value_and_grad(scalar)(jnp.float32(ratio))
    np.testing.assert_allclose(got, loss, rtol=1e-6)
    assert slope == gradient


def test_kl_estimates_by_hand():
    # The estimate k3 is (2 - 1) - ln 2, and 0 where nothing moved. The estimate k2 is half the squares. Only k3 has the
    # limit, which is 1 nat here.
    log_ratio = jnp.log(jnp.array([1.0, 2.0, 100.0]))
    k3 = ratios.kl_k3(log_ratio, limit=1.0)
    np.testing.assert_allclose(k3, [0.0, 1.0 - np.log(2.0), np.e - 2.0], rtol=1e-5)
    np.testing.assert_allclose(ratios.kl_k2(log_ratio), [0.0, np.log(2.0) ** 2 / 2, np.log(100.0) ** 2 / 2], rtol=1e-6)


TOKEN_LOG_RATIOS = jnp.array([[np.log(2.0), np.log(8.0), 7.0], [np.log(0.5), 7.0, 7.0]])
MASK = jnp.array([[True, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("level", "values", "weights"),
    [
        ("chunk", [[16.0], [0.5]], [[1.0], [1.0]]),
        ("token", [[2.0, 8.0, 1.0], [0.5, 1.0, 1.0]], [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        ("sequence_mean", [[4.0], [0.5]], [[2.0], [1.0]]),  # the geometric mean of 2 and 8
    ],
)
def test_ratios_of_each_level_by_hand(level, values, weights):
    made = ratios.level_ratios(TOKEN_LOG_RATIOS, MASK, level=level, log_ratio_clamp=20.0)
    np.testing.assert_allclose(made.values, values, rtol=1e-6)
    np.testing.assert_array_equal(made.weights, weights)


def test_each_level_is_limited_by_itself():
    # With a clamp of ln 4 the chunk's 16 and the token's 8 become 4, and the mean is 4 as it is.
    limits = {"chunk": [4.0], "token": [2.0, 4.0, 1.0], "sequence_mean": [4.0]}
    for level, expected in limits.items():
        made = ratios.level_ratios(TOKEN_LOG_RATIOS, MASK, level=level, log_ratio_clamp=float(np.log(4.0)))
        np.testing.assert_allclose(made.values[0], expected, rtol=1e-6)


def test_outside_the_band_are_sampled_ones_only():
    made = ratios.level_ratios(TOKEN_LOG_RATIOS, MASK, level="token", log_ratio_clamp=20.0)
    np.testing.assert_array_equal(made.outside((0.6, 3.0)), [[False, True, False], [True, False, False]])
