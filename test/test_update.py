"""Tests the update with a policy of two logits and one value."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from chunk_ppo_ros.rl.update_errors import LogProbGapError, UpdateError
from support import toy_policy
from support.compilations import compilations
from support.seen_values import SeenValues
from support.toy_policy import sample_rollout
from support.trees import assert_trees_equal

CONFIG = config_lib.PPOConfig(batch_size=4, num_epochs_per_update=2, learning_rate=0.05, value_learning_rate=0.1)
KEY = jax.random.key(3)


@functools.cache
def cached_update(config, evaluate):
    return PPOUpdate(evaluate, make_optimizer(config), config)


def setup(config=CONFIG, evaluate=toy_policy.evaluate):
    """Returns an update, compiled once for all tests here, and the parameters and optimizer state to start from."""
    params = toy_policy.init_params()
    return cached_update(config, evaluate), params, make_optimizer(config).init(params)


def test_a_tiny_policy_improves():
    update, params, opt_state = setup()
    for number in range(20):
        result = update.run(params, opt_state, sample_rollout(params, seed=number), key=jax.random.fold_in(KEY, number))
        params, opt_state = result.params, result.opt_state
    probability_of_one = jax.nn.softmax(params["actor_backbone"]["logits"])[1]
    assert probability_of_one > 0.8  # from 0.5
    assert params["value_head"]["bias"] > 1.0  # the reward's mean has risen from 1 towards 2


def test_one_step_by_hand():
    # The chunks (1, 1) with reward 1 and (0, 0) with reward -1 have the value 0, and one step is over both. The
    # advantages are +1 and -1. Adam's first step is lr * sign(gradient). Logit 1 goes up, logit 0 down, and the bias
    # (mean error 0) stays.
    config = config_lib.PPOConfig(batch_size=2, num_epochs_per_update=1, learning_rate=0.1)
    update, params, opt_state = setup(config)
    good = toy_policy.transition(0, tokens=(1, 1), reward=1.0, terminated=True)
    bad = toy_policy.transition(1, tokens=(0, 0), reward=-1.0, terminated=True, valid=False)
    result = update.run(params, opt_state, stack_transitions([good, bad]), key=KEY)
    np.testing.assert_allclose(result.params["actor_backbone"]["logits"], [-0.1, 0.1], rtol=1e-5)
    np.testing.assert_allclose(result.params["value_head"]["bias"], 0.0, atol=1e-7)
    figures = result.metrics
    assert figures["ratio/mean"] == figures["ratio/min"] == figures["ratio/max"] == 1.0
    np.testing.assert_allclose(figures["loss/policy"], 0.0, atol=1e-7)  # -(1 - 1) / 2
    np.testing.assert_allclose(figures["loss/value"], 0.5, rtol=1e-6)  # half the squares of +-1
    np.testing.assert_allclose(figures["loss/entropy"], np.log(2.0), rtol=1e-6)
    # For d loss / d logit 1 each chunk moves by 2 (1 - 1/2) A and -2 (1/2) A. The mean over two chunks of A = +-1 is -1
    # and 1.
    np.testing.assert_allclose(figures["grad_norm/actor"], np.sqrt(2.0), rtol=1e-5)
    assert figures["reward/chunk_std"] == 1.0
    assert figures["advantage/std"] == 1.0
    assert figures["tokens/mean_per_chunk"] == 2.0
    assert figures["decoding/invalid_fraction"] == 0.5  # it is trained on like the other
    assert figures["value/explained_variance"] == 0.0  # a constant explains nothing
    assert figures["update/epochs_done"] == 1.0


def test_same_key_same_result_and_other_key_another():
    update, params, opt_state = setup()
    rollout = sample_rollout(params)
    first, again = (update.run(params, opt_state, rollout, key=KEY) for _ in range(2))
    other = update.run(params, opt_state, rollout, key=jax.random.key(4))
    assert_trees_equal(first.params, again.params)
    assert first.metrics == again.metrics
    assert not np.array_equal(first.params["actor_backbone"]["logits"], other.params["actor_backbone"]["logits"])


def test_the_inputs_stay_as_they_are():
    update, params, opt_state = setup()
    before = jax.tree.map(np.array, (params, opt_state))
    update.run(params, opt_state, sample_rollout(params), key=KEY)
    assert_trees_equal((params, opt_state), before)


def test_inputs_that_can_be_loaded_again_are_used_up_and_give_the_same_result():
    update, params, opt_state = setup()
    first = update.run(params, opt_state, sample_rollout(params), key=KEY)  # its results are committed, as a run's are
    rollout = sample_rollout(first.params, seed=1)
    copied = update.run(first.params, first.opt_state, rollout, key=KEY)
    reloaded = functools.partial(pytest.fail, "nothing is undone")
    donated = update.run(first.params, first.opt_state, rollout, key=KEY, reload=reloaded)
    assert_trees_equal(donated.params, copied.params)
    moments = [first.opt_state[group] for group in first.params]
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((first.params, moments)))


def test_every_chunk_is_used_once_an_epoch():
    seen = SeenValues()

    def evaluate(params, observation, action_tokens, token_mask, *, temperature, actions):
        seen.see(action_tokens)
        return toy_policy.evaluate(params, observation, action_tokens, token_mask, temperature=temperature)

    update, params, opt_state = setup(dataclasses.replace(CONFIG, num_epochs_per_update=1, max_kl=0.0), evaluate)
    rollout = sample_rollout(params)
    update.run(params, opt_state, rollout, key=KEY)
    batches = seen.read()
    check, epoch = np.concatenate(batches[:2]), np.concatenate(batches[2:])
    np.testing.assert_array_equal(check, rollout.action_tokens)  # the log-probs are checked in order
    assert sorted(epoch.tolist()) == sorted(rollout.action_tokens.tolist())


def test_frozen_policy_leaves_the_actor_and_its_moments_untouched():
    update, params, opt_state = setup()
    warm = update.run(params, opt_state, sample_rollout(params), key=KEY)
    rollout = sample_rollout(warm.params, seed=1)
    frozen = update.run(warm.params, warm.opt_state, rollout, key=KEY, policy_frozen=True)
    assert_trees_equal(frozen.params["actor_backbone"], warm.params["actor_backbone"])
    assert_trees_equal(frozen.opt_state["actor_backbone"], warm.opt_state["actor_backbone"])
    assert frozen.params["value_head"]["bias"] != warm.params["value_head"]["bias"]
    assert frozen.metrics["grad_norm/actor"] == 0.0
    assert frozen.metrics["ratio/max"] == frozen.metrics["ratio/min"] == pytest.approx(1.0, abs=1e-6)


def test_taken_over_chunks_do_not_move_the_actor():
    update, params, opt_state = setup()
    result = update.run(params, opt_state, sample_rollout(params, intervened=True), key=KEY)
    assert_trees_equal(result.params["actor_backbone"], params["actor_backbone"])
    assert result.params["value_head"]["bias"] != 0.0
    figures = result.metrics
    assert (figures["ratio/mean"], figures["ratio/min"], figures["ratio/max"], figures["kl/approx"]) == (1, 1, 1, 0)


def test_a_log_prob_gap_is_refused_and_named():
    update, params, opt_state = setup()
    rollout = sample_rollout(params)
    shifted = rollout.token_log_probs.copy()
    shifted[5, 1] += 0.01  # the ratio of chunk 5 becomes exp(-0.01): a gap of 0.00995
    with pytest.raises(LogProbGapError, match=r"at most 0.001 .* got 0.00995\d* in chunk 5") as caught:
        update.run(params, opt_state, rollout.replace(token_log_probs=shifted), key=KEY)
    assert caught.value.sequence_number == 5
    assert caught.value.gap == pytest.approx(1 - np.exp(-0.01), rel=1e-3)


def test_the_gap_is_measured_where_it_is_allowed():
    update, params, opt_state = setup(dataclasses.replace(CONFIG, max_logp_gap=0.1))
    rollout = sample_rollout(params)
    shifted = rollout.token_log_probs.copy()
    shifted[5] += np.float32([0.02, -0.01, 7.0])  # the pad does not count; together exp(-0.01)
    figures = update.run(params, opt_state, rollout.replace(token_log_probs=shifted), key=KEY).metrics
    assert figures["logp_gap/max_ratio"] == pytest.approx(1 - np.exp(-0.01), rel=1e-3)
    assert figures["logp_gap/token_max"] == pytest.approx(0.02, rel=1e-3)


def test_the_limit_is_that_of_the_dtype():
    params = toy_policy.init_params()
    optimizer = make_optimizer(CONFIG)
    rollout = sample_rollout(params)
    shifted = rollout.replace(token_log_probs=rollout.token_log_probs + np.float32([0.01, 0.0, 0.0]))
    update = PPOUpdate(toy_policy.evaluate, optimizer, CONFIG, dtype="float32")
    with pytest.raises(LogProbGapError, match=r"at most 0.001"):
        update.run(params, optimizer.init(params), shifted, key=KEY)
    update = PPOUpdate(toy_policy.evaluate, optimizer, CONFIG, dtype="bfloat16")
    assert update.run(params, optimizer.init(params), shifted, key=KEY).metrics["logp_gap/max_ratio"] > 0.009


@pytest.mark.parametrize(("recompute", "ratio"), [(False, np.exp(0.3)), (True, 1.0)])
def test_ratios_are_from_recorded_or_from_recomputed_log_probs(recompute, ratio):
    # The recorded log-probs are 0.3 nats a chunk too low, and one step is over all chunks. So the ratio before it is
    # exp(0.3).
    config = dataclasses.replace(
        CONFIG, batch_size=8, num_epochs_per_update=1, max_logp_gap=0.5, recompute_log_probs=recompute
    )
    update, params, opt_state = setup(config)
    rollout = sample_rollout(params)
    shifted = rollout.replace(token_log_probs=rollout.token_log_probs - np.float32([0.3, 0.0, 0.0]))
    figures = update.run(params, opt_state, shifted, key=KEY).metrics
    assert figures["ratio/mean"] == pytest.approx(ratio, rel=1e-5)
    assert figures["logp_gap/max_ratio"] == pytest.approx(np.exp(0.3) - 1.0, rel=1e-4)  # told in any case


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-3), ("bfloat16", 0.9)])
def test_a_limit_that_is_set_counts_whatever_the_dtype(dtype, limit):
    assert config_lib.PPOConfig().logp_gap_limit(dtype) == limit
    assert config_lib.PPOConfig(max_logp_gap=0.25).logp_gap_limit(dtype) == 0.25


def test_log_probs_that_are_not_numbers_are_refused():
    update, params, opt_state = setup()
    rollout = sample_rollout(params)
    broken = rollout.token_log_probs.copy()
    broken[2, 0] = np.nan
    with pytest.raises(LogProbGapError, match="got nan in chunk 2"):
        update.run(params, opt_state, rollout.replace(token_log_probs=broken), key=KEY)


def test_a_loss_that_is_not_finite_keeps_the_old_parameters():
    update, params, opt_state = setup()
    before = jax.tree.map(np.array, (params, opt_state))
    rollout = sample_rollout(params)
    rewards = rollout.rewards.copy()
    rewards[0] = np.nan
    with pytest.raises(UpdateError, match="must be finite, got loss/policy nan"):
        update.run(params, opt_state, rollout.replace(rewards=rewards), key=KEY)
    assert_trees_equal((params, opt_state), before)
    update.run(params, opt_state, rollout, key=KEY)  # and they can be trained on


def test_a_gradient_that_is_not_finite_is_refused_though_the_loss_is():
    def evaluate(params, *args, temperature, actions):
        evaluation = toy_policy.evaluate(params, *args, temperature=temperature)
        # At 0, sqrt(|x|) is 0 with an infinite slope.
        steep = evaluation.value.mean + jnp.sqrt(jnp.abs(params["value_head"]["bias"]))
        return evaluation.replace(value=ValueEstimate.scalar(steep))

    update, params, opt_state = setup(evaluate=evaluate)
    with pytest.raises(UpdateError, match=r"grad_norm/value inf in the first gradient step"):
        update.run(params, opt_state, sample_rollout(params), key=KEY)


def test_the_value_of_a_chunk_is_trained_and_described():
    """V(s, a) = w a learns the reward 0, 1 or 2 from an action that is equal to it.

    The value of observations is a constant.
    """

    def evaluate(params, observation, action_tokens, token_mask, *, temperature, actions):
        head = params["value_head"]
        plain = toy_policy.evaluate(
            {**params, "value_head": head["plain"]}, observation, action_tokens, token_mask, temperature=temperature
        )
        return plain.replace(chunk_value=ValueEstimate.scalar(head["weight"] * actions[:, 0, 0]))

    config = dataclasses.replace(CONFIG, num_epochs_per_update=20)
    params = toy_policy.init_params()
    params["value_head"] = {"plain": params["value_head"], "weight": jnp.zeros(())}
    update, opt_state = cached_update(config, evaluate), make_optimizer(config).init(params)
    rollout = sample_rollout(params)
    rollout = rollout.replace(actions=rollout.rewards[:, None, None])
    first = update.run(params, opt_state, rollout, key=KEY)
    figures = first.metrics
    # Before training w is 0, so the values explain nothing.
    assert figures["value/chunk_explained_variance"] == 0.0
    assert 0.0 < figures["loss/chunk_value"] < figures["loss/value"]
    assert figures["value/clipped_returns"] == 0.0
    log_probs = jax.nn.log_softmax(first.params["actor_backbone"]["logits"])[rollout.action_tokens]
    rescored = rollout.replace(token_log_probs=np.where(rollout.token_mask, log_probs, 0.0))
    second = update.run(first.params, first.opt_state, rescored, key=KEY)
    # Returns are w* a with w* = 1, so that the share of the variance that is left is (1 - w)^2.
    left = float((1.0 - first.params["value_head"]["weight"]) ** 2)
    assert left < 0.1
    assert second.metrics["value/chunk_explained_variance"] == pytest.approx(1.0 - left, abs=1e-4)


def test_without_a_value_of_chunks_there_are_no_figures_of_it():
    update, params, opt_state = setup()
    figures = update.run(params, opt_state, sample_rollout(params), key=KEY).metrics
    assert not any("chunk_value" in name or "chunk_explained" in name for name in figures)


def test_target_kl_stops_within_an_epoch():
    # An epoch has four steps. The second minibatch is the first that finds the policy moved.
    config = dataclasses.replace(CONFIG, num_epochs_per_update=5, learning_rate=1.0, target_kl=1e-3)
    update, params, opt_state = setup(config)
    figures = update.run(params, opt_state, sample_rollout(params, num_chunks=16), key=KEY).metrics
    assert figures["kl/k2"] > 1e-3
    assert figures["update/epochs_done"] == 0.5


def test_gradients_are_clipped_by_group():
    # With a limit far below the gradients, the raw norms are still what is logged.
    update, params, opt_state = setup(dataclasses.replace(CONFIG, max_grad_norm=1e-3))
    result = update.run(params, opt_state, sample_rollout(params), key=KEY)
    assert result.metrics["grad_norm/actor"] > 1e-2
    groups = [result.opt_state[group] for group in params]
    moments = [leaf for leaf in jax.tree.leaves(groups) if np.issubdtype(leaf.dtype, np.floating)]
    assert all(np.all(np.abs(moment) <= 1e-3) for moment in moments)


def test_progress_is_told_after_each_minibatch():
    update, params, opt_state = setup()
    calls = []
    update.run(
        params, opt_state, sample_rollout(params), key=KEY, progress=lambda step, steps: calls.append((step, steps))
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("committed", [False, True])
def test_nothing_compiles_twice(committed):
    # Parameters restored from a checkpoint are committed to a device. The optimizer's counter is not.
    params = toy_policy.init_params()
    params = jax.device_put(params, jax.devices()[0]) if committed else params
    optimizer = make_optimizer(CONFIG)
    update, opt_state = PPOUpdate(toy_policy.evaluate, optimizer, CONFIG), optimizer.init(params)
    nothing = jax.tree.map(np.zeros_like, sample_rollout(params))
    with compilations() as before:
        update.warm_up(params, opt_state, nothing, key=KEY)
    assert before  # or nothing is heard
    sample_rollout(jax.device_get(params))  # what sampling compiles does not count
    with compilations() as during:
        for number in range(3):
            rollout = sample_rollout(jax.device_get(params), seed=number)
            result = update.run(params, opt_state, rollout, key=jax.random.key(number))
            params, opt_state = result.params, result.opt_state
    assert during == []


def test_a_rollout_must_be_a_multiple_of_the_minibatch():
    update, params, opt_state = setup()
    with pytest.raises(ValueError, match=r"a multiple of those in a step \(4: .* got 6"):
        update.run(params, opt_state, sample_rollout(params, num_chunks=6), key=KEY)


def test_params_must_have_two_groups():
    with pytest.raises(ValueError, match=r"got \['actor_backbone'\]"):
        make_optimizer(CONFIG).init({"actor_backbone": {}})
