"""Tests the update of a policy of which a part stands still.

Two towers of two numbers each have the logits as their sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from support import toy_policy
from support.compilations import compilations
from support.seen_values import SeenValues

CONFIG = config_lib.PPOConfig(
    batch_size=4, num_epochs_per_update=2, learning_rate=0.05, value_learning_rate=0.1, max_logp_gap=10.0
)
ADAPTER_ONLY = {"tower": False, "adapter": True}
KEY = jax.random.key(3)
NUM_CHUNKS = 8


def make_rollout() -> RolloutBatch:
    """Returns chunks of two tokens, whose reward is the number of ones. With the first parameters all logits are 0."""
    tokens = np.random.default_rng(0).choice(2, size=(NUM_CHUNKS, 2))
    return stack_transitions(
        [
            toy_policy.transition(number, tokens=tuple(pair), reward=float(sum(pair)), terminated=True)
            for number, pair in enumerate(tokens)
        ]
    )


@dataclasses.dataclass(frozen=True)
class Setup:
    update: PPOUpdate
    params: Any
    opt_state: Any

    def run(self, **arguments: Any) -> Any:
        return self.update.run(self.params, self.opt_state, make_rollout(), key=KEY, **arguments)


def setup(trained: Any, evaluate: Callable[..., Any] = toy_policy.evaluate_adapted, prepare: Any = None) -> Setup:
    optimizer, params = make_optimizer(CONFIG), toy_policy.init_adapted_params()
    update = PPOUpdate(evaluate, optimizer, CONFIG, trained=trained, prepare=prepare)
    return Setup(update, params, optimizer.init(params, trained=trained))


@pytest.fixture(scope="module")
def adapter_only() -> Setup:
    return setup(ADAPTER_ONLY)


def test_a_frozen_leaf_is_neither_changed_nor_copied(adapter_only: Setup) -> None:
    before = jax.tree.map(np.array, adapter_only.params)
    actor = adapter_only.run().params["actor_backbone"]
    frozen = adapter_only.params["actor_backbone"]["tower"]
    assert actor["tower"].unsafe_buffer_pointer() == frozen.unsafe_buffer_pointer()
    assert not np.array_equal(actor["adapter"], before["actor_backbone"]["adapter"])
    jax.tree.map(np.testing.assert_array_equal, adapter_only.params, before)  # what went in is still good


def test_moments_are_of_trained_leaves_only(adapter_only: Setup) -> None:
    for state in (adapter_only.opt_state, adapter_only.run().opt_state):
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(state["actor_backbone"])]
        assert sum("adapter" in path for path in paths) == 2  # mu and nu
        assert not any("tower" in path for path in paths)


def test_the_gradient_norm_is_of_trained_leaves_only(adapter_only: Setup) -> None:
    # The logits are tower + adapter, so both have one gradient g at the first step, with |(g, g)| = sqrt(2) |g|. With
    # one step an update the two differ in nothing else.
    config = dataclasses.replace(CONFIG, num_epochs_per_update=1, batch_size=NUM_CHUNKS)
    params, norms = toy_policy.init_adapted_params(), []
    for trained in (True, ADAPTER_ONLY):
        optimizer = make_optimizer(config)
        update = PPOUpdate(toy_policy.evaluate_adapted, optimizer, config, trained=trained)
        result = update.run(params, optimizer.init(params, trained=trained), make_rollout(), key=KEY)
        norms.append(result.metrics["grad_norm/actor"])
    assert norms[0] == pytest.approx(np.sqrt(2.0) * norms[1], rel=1e-5)
    assert norms[1] > 0.0


def test_with_everything_frozen_the_values_learn_as_in_the_warm_up() -> None:
    nothing = setup({"tower": False, "adapter": False})
    result, warm_up = nothing.run(), setup(True).run(policy_frozen=True)
    jax.tree.map(np.testing.assert_array_equal, result.params, warm_up.params)
    assert result.params["value_head"]["bias"] > 0.0
    assert result.metrics["grad_norm/actor"] == 0.0


def test_a_frozen_policy_keeps_the_adapter_and_its_moments(adapter_only: Setup) -> None:
    result = adapter_only.run(policy_frozen=True)
    for new, old in ((result.params, adapter_only.params), (result.opt_state, adapter_only.opt_state)):
        jax.tree.map(np.testing.assert_array_equal, new["actor_backbone"], old["actor_backbone"])
    assert result.params["value_head"]["bias"] > 0.0


def test_prepared_observations_give_the_same_update(adapter_only: Setup) -> None:
    prepared = setup(ADAPTER_ONLY, toy_policy.evaluate_embedded, toy_policy.embed).run()
    plain = adapter_only.run()
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), prepared.params, plain.params)
    assert prepared.metrics == pytest.approx(plain.metrics, rel=1e-5, abs=1e-6)


def test_each_observation_is_prepared_once_an_update() -> None:
    seen = SeenValues()

    def prepare(params: Any, observation: Any) -> Any:
        seen.see(observation.state)
        return toy_policy.embed(params, observation)

    counted = setup(ADAPTER_ONLY, toy_policy.evaluate_embedded, prepare)
    for _ in range(2):
        counted.run()
    assert [len(state) for state in seen.read()] == [CONFIG.batch_size] * (2 * NUM_CHUNKS // CONFIG.batch_size)


def test_the_end_of_a_warm_up_compiles_nothing_new() -> None:
    made = setup(ADAPTER_ONLY, toy_policy.evaluate_embedded, toy_policy.embed)
    update, params, opt_state = made.update, made.params, made.opt_state
    for policy_frozen in (True, False):
        update.warm_up(params, opt_state, make_rollout(), key=KEY, policy_frozen=policy_frozen)
    with compilations() as during:
        for policy_frozen in (True, True, False, False):
            result = update.run(params, opt_state, make_rollout(), key=KEY, policy_frozen=policy_frozen)
            params, opt_state = result.params, result.opt_state
    assert during == []
