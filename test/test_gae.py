"""Tests GAE over chunks: numbers by hand, reductions, and how segments end."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from chunk_ppo_ros.rl.gae import gae


def sequence(**changes):
    """Returns three chunks of one episode that terminates.

    Discounts and lambda are 1/2, so that all numbers are dyadic.
    """
    arrays = {
        "rewards": [1.0, 2.0, 4.0],
        "discounts": [0.5, 0.5, 0.5],
        "values": [1.0, 2.0, 3.0],
        "next_values": [2.0, 3.0, 8.0],
        "terminated": [False, False, True],
        "segment_end": [False, False, True],
    } | changes
    return {name: np.array(values) for name, values in arrays.items()}


def test_numbers_by_hand():
    # delta = r + 0.5 v' - v (v' dropped where terminated):
    #   delta_0 = 1 + 0.5*2 - 1 = 1,  delta_1 = 2 + 0.5*3 - 2 = 1.5,  delta_2 = 4 + 0 - 3 = 1
    # decay = 0.5 * 0.5 = 0.25:
    #   A_2 = 1,  A_1 = 1.5 + 0.25*1 = 1.75,  A_0 = 1 + 0.25*1.75 = 1.4375
    # returns = A + v
    advantages, returns = gae(**sequence(), gae_lambda=0.5)
    np.testing.assert_array_equal(advantages, [1.4375, 1.75, 1.0])
    np.testing.assert_array_equal(returns, [2.4375, 3.75, 4.0])


def test_truncation_bootstraps_and_cuts_the_trace():
    # Chunk 1 was truncated. It keeps v' = 3 but does not see chunk 2, so A_1 = delta_1 = 1.5 and A_0 = 1 + 0.25*1.5.
    advantages, _ = gae(**sequence(segment_end=[False, True, True]), gae_lambda=0.5)
    np.testing.assert_array_equal(advantages, [1.375, 1.5, 1.0])


def test_termination_ignores_the_next_value():
    # Chunk 1 terminated. So delta_1 = 2 - 2 = 0 whatever v' is, and the trace is cut: A_0 = delta_0 = 1.
    ends = {"terminated": [False, True, True], "segment_end": [False, True, True]}
    advantages, _ = gae(**sequence(**ends, next_values=[2.0, np.nan, 8.0]), gae_lambda=0.5)
    np.testing.assert_array_equal(advantages, [1.0, 0.0, 1.0])


def test_the_end_of_a_rollout_bootstraps():
    # The last chunk goes on elsewhere, so delta_2 = 4 + 0.5*8 - 3 = 5.
    running = {"terminated": [False] * 3, "segment_end": [False, False, True]}
    advantages, _ = gae(**sequence(**running), gae_lambda=0.5)
    assert advantages[2] == 5.0


def test_lambda_zero_is_the_one_chunk_difference():
    advantages, _ = gae(**sequence(), gae_lambda=0.0)
    np.testing.assert_array_equal(advantages, [1.0, 1.5, 1.0])


def test_lambda_one_is_the_discounted_sum_of_rewards():
    # G_2 = 4, G_1 = 2 + 0.5*4 = 4, G_0 = 1 + 0.5*4 = 3, where next_values continue values (v'_t = v_{t+1}).
    _, returns = gae(**sequence(), gae_lambda=1.0)
    np.testing.assert_array_equal(returns, [3.0, 4.0, 4.0])


def test_two_segments_are_as_good_as_two_calls():
    first, second = sequence(), sequence(rewards=[0.5, -1.0, 2.0], segment_end=[False, False, False])
    joined = {name: np.concatenate([first[name], second[name]]) for name in first}
    expected = [gae(**part, gae_lambda=0.9)[0] for part in (first, second)]
    np.testing.assert_allclose(gae(**joined, gae_lambda=0.9)[0], np.concatenate(expected), rtol=1e-6)


def test_each_entry_has_its_own_discount():
    # With lambda 1, G_1 = 2 + 0.25*4 = 3 and G_0 = 1 + 0.5*3 = 2.5.
    _, returns = gae(**sequence(discounts=[0.5, 0.25, 0.5]), gae_lambda=1.0)
    np.testing.assert_array_equal(returns, [2.5, 3.0, 4.0])


def test_jit_and_vmap_equal_plain():
    plain = gae(**sequence(), gae_lambda=0.95)
    jitted = jax.jit(lambda arrays: gae(**arrays, gae_lambda=0.95))(sequence())
    batched = jax.vmap(lambda arrays: gae(**arrays, gae_lambda=0.95))(jax.tree.map(lambda x: x[None], sequence()))
    for expected, got, row in zip(plain, jitted, batched, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        np.testing.assert_allclose(row[0], expected, rtol=1e-6)


def test_no_gradient_flows_through_the_targets():
    def total(values):
        return jnp.sum(gae(**(sequence() | {"values": values}), gae_lambda=0.9)[1])

    np.testing.assert_array_equal(jax.grad(total)(jnp.array([1.0, 2.0, 3.0])), [0.0, 0.0, 0.0])


def test_shapes_are_checked():
    with pytest.raises(jaxtyping.TypeCheckError, match="discounts"):
        gae(**sequence(rewards=[1.0, 2.0]), gae_lambda=0.9)


def test_shapes_are_checked_without_checks_of_signatures():
    with pytest.raises(ValueError, match=r"of one shape \[N\], got .*\(2,\)"):
        inspect.unwrap(gae)(**sequence(rewards=[1.0, 2.0]), gae_lambda=0.9)
