"""Tests that an update that goes too far is undone and made again at a lower rate.

Where it never fits, it leaves no trace. One update at a thousand times the usual rate is compiled for all tests. The
scale in the optimizer state sets the rate.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl.optimizer import LR_SCALE, make_optimizer
from chunk_ppo_ros.rl.rollout import stack_transitions
from chunk_ppo_ros.rl.trust_region import Attempts, KLAfter, mean_log_ratio
from chunk_ppo_ros.rl.update import PPOUpdate
from support import toy_policy
from support.toy_policy import sample_rollout
from support.trees import assert_trees_equal

CONFIG = config_lib.PPOConfig(
    batch_size=4, num_epochs_per_update=2, learning_rate=1.0, value_learning_rate=0.1, max_kl=0.05, max_grad_norm=100.0
)
KEY = jax.random.key(3)
TOO_FAST = 50.0  # of the scale: a thousand times the 0.05 at which the toy policy learns


def evaluate(params, *args, temperature, actions):
    """Evaluates the toy policy, which breaks where a logit is beyond 1,000."""
    logits = params["actor_backbone"]["logits"]
    whole = {**params, "actor_backbone": {"logits": jnp.where(jnp.abs(logits) > 1e3, jnp.nan, logits)}}
    return toy_policy.evaluate(whole, *args, temperature=temperature)


@pytest.fixture(scope="module")
def update() -> PPOUpdate:
    return PPOUpdate(evaluate, make_optimizer(CONFIG), CONFIG)


def start(scale: float):
    params = toy_policy.init_params((0.3, -0.2))
    return params, {**make_optimizer(CONFIG).init(params), LR_SCALE: jnp.float32(scale)}


def log_ratios(*each):
    """Returns log-probs of one chunk of two tokens for each number, which is half in each token."""
    old = np.full((len(each), 3), -1.0, np.float32)
    return old, old + np.array([[number / 2, number / 2, 9.0] for number in each], np.float32)


def test_the_kl_after_an_update_by_hand():
    # The log-ratios are ln 2 and -ln 2. The third chunk was cut short, and the last slot is a pad. So k2 is (ln 2)^2 /
    # 2, and k3 is ((2 - 1 - ln 2) + (1/2 - 1 + ln 2)) / 2 = 1/4. With signs turned k1 is 0.
    made = stack_transitions([toy_policy.transition(n, intervened=n == 2) for n in range(3)])
    old, new = log_ratios(np.log(2.0), -np.log(2.0), 5.0)
    kl = KLAfter.measure(old, new, made, log_ratio_clamp=20.0)
    assert kl.k2 == pytest.approx(np.log(2.0) ** 2 / 2, rel=1e-5)
    assert kl.k3 == pytest.approx(0.25, rel=1e-5)
    # Between -ln 2 and ln 2 the quantile of p percent is (2 p / 100 - 1) ln 2.
    assert kl.ratios == pytest.approx([2**-0.9, 2**-0.5, 1.0, 2**0.5, 2**0.9], rel=1e-5)
    assert kl.metrics()["ratio/after_p95"] == pytest.approx(2**0.9, rel=1e-5)
    assert mean_log_ratio(new, old, made) == pytest.approx(0.0, abs=1e-6)
    assert mean_log_ratio(*log_ratios(-3.0, -1.0, 5.0), made) == pytest.approx(2.0)


def test_without_policy_chunks_nothing_moved():
    made = stack_transitions([toy_policy.transition(n, human=True) for n in range(2)])
    assert KLAfter.measure(*log_ratios(1.0, 1.0), made, log_ratio_clamp=20.0) == KLAfter(0.0, 0.0)
    assert mean_log_ratio(*log_ratios(1.0, 1.0), made) == 0.0


@pytest.mark.parametrize(
    ("scale", "accepted", "expected"), [(0.5, True, 0.55), (0.95, True, 1.0), (0.5, False, 0.25), (1.0, True, 1.0)]
)
def test_the_scale_recovers_slowly_and_falls_fast(scale, accepted, expected):
    attempts = Attempts(scale, 0, accepted=accepted, kl=None)
    assert attempts.next_scale(CONFIG) == pytest.approx(expected)


@pytest.mark.parametrize("reloads", [False, True])
def test_an_update_that_never_fits_leaves_everything_bit_by_bit(update, reloads):
    params, opt_state = start(TOO_FAST)
    before = jax.tree.map(np.array, (params, opt_state))
    num_reloads = []

    def reload():
        num_reloads.append(1)
        return jax.tree.map(jnp.array, before)

    rollout = sample_rollout(params)
    result = update.run(params, opt_state, rollout, key=KEY, reload=reload if reloads else None)
    assert len(num_reloads) == (4 if reloads else 0)
    assert_trees_equal(result.params, before[0])
    for group in params:
        assert_trees_equal(result.opt_state[group], before[1][group])
    figures = result.metrics
    assert (figures["update/accepted"], figures["update/rolled_back"]) == (0.0, 4.0)
    assert figures["update/rate_scale"] == TOO_FAST / 8  # that of the fourth attempt
    assert float(result.opt_state[LR_SCALE]) == TOO_FAST / 16
    assert figures["kl/after"] > CONFIG.max_kl


def test_an_update_that_fits_in_the_end_is_one_at_that_rate(update):
    params, opt_state = start(0.32)
    rollout = sample_rollout(params)
    found = update.run(params, opt_state, rollout, key=KEY)
    figures = found.metrics
    undone, scale = figures["update/rolled_back"], figures["update/rate_scale"]
    assert figures["update/accepted"] == 1.0 and undone in (1.0, 2.0, 3.0)
    assert scale == pytest.approx(0.32 / 2**undone)
    assert 0.0 < figures["kl/after"] <= CONFIG.max_kl
    at_once = update.run(params, {**opt_state, LR_SCALE: jnp.float32(scale)}, rollout, key=KEY)
    assert at_once.metrics["update/rolled_back"] == 0.0
    assert_trees_equal(found.params, at_once.params)
    assert found.params["value_head"]["bias"] != 0.0  # the value head was trained anew
    assert float(found.opt_state[LR_SCALE]) == pytest.approx(1.1 * scale)


def test_what_is_not_finite_after_a_step_is_undone(update):
    # At a scale of 10,000 the logits are beyond 1,000 after one step, also after three halvings.
    params, opt_state = start(1e4)
    before = jax.tree.map(np.array, params)
    result = update.run(params, opt_state, sample_rollout(params), key=KEY)
    assert_trees_equal(result.params, before)
    assert (result.metrics["update/accepted"], result.metrics["update/rolled_back"]) == (0.0, 4.0)
    assert "kl/after" not in result.metrics


def test_a_run_that_is_far_too_fast_accepts_most_updates_and_still_learns(update):
    params, opt_state = start(10 * 0.32)
    accepted = []
    for number in range(20):
        rollout = sample_rollout(params, seed=number)
        result = update.run(params, opt_state, rollout, key=jax.random.fold_in(KEY, number))
        params, opt_state = result.params, result.opt_state
        accepted.append(result.metrics["update/accepted"])
        assert result.metrics["kl/after"] <= CONFIG.max_kl or not result.metrics["update/accepted"]
    assert np.mean(accepted) > 0.5
    assert jax.nn.softmax(params["actor_backbone"]["logits"])[1] > 0.5  # from 0.38: ones are rewarded


def test_progress_counts_on_over_attempts(update):
    params, opt_state = start(TOO_FAST)
    calls = []
    update.run(params, opt_state, sample_rollout(params), key=KEY, progress=lambda *counts: calls.append(counts))
    assert calls[3:6] == [(4, 4), (5, 8), (6, 8)] and calls[-1] == (16, 16)


def test_a_frozen_policy_keeps_the_scale(update):
    params, opt_state = start(0.25)
    result = update.run(params, opt_state, sample_rollout(params), key=KEY, policy_frozen=True)
    assert float(result.opt_state[LR_SCALE]) == 0.25
    assert "kl/after" not in result.metrics and result.metrics["update/accepted"] == 1.0


def test_a_limit_of_nothing_is_not_measured():
    config = dataclasses.replace(CONFIG, max_kl=0.0)
    params, opt_state = start(1.0)
    update = PPOUpdate(evaluate, make_optimizer(config), config)
    assert "kl/after" not in update.run(params, opt_state, sample_rollout(params), key=KEY).metrics
