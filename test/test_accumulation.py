"""Tests that gradients added up over minibatches are those of the large minibatch.

It also tests what is compiled with the update. The rollout has a chunk cut short and one that a human drove, so that
the minibatches' means do not average to it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate, UpdateResult
from support import toy_policy

WHOLE = config_lib.PPOConfig(
    batch_size=8, num_epochs_per_update=2, learning_rate=0.05, bc_coef=0.5, ref_kl_coef=0.5, ent_coef=0.01
)
KEY = jax.random.key(3)
REFERENCE = {"logits": jnp.array([0.5, 0.0])}


def make_rollout() -> RolloutBatch:
    """Returns eight chunks of a policy that likes all tokens alike.

    What the human did has log-probs that nobody sampled.
    """
    made = []
    for number in range(8):
        made.append(
            toy_policy.transition(
                number,
                tokens=(number % 2, number // 4),
                reward=float(number),
                terminated=True,
                intervened=number == 3,
                human=number == 5,
                log_prob=-9.0 if number == 5 else float(np.log(0.5)),
            )
        )
    return stack_transitions(made)


def run(config: config_lib.PPOConfig) -> UpdateResult:
    params, optimizer = toy_policy.init_params(), make_optimizer(config)
    update = PPOUpdate(toy_policy.evaluate, optimizer, config, reference=REFERENCE)
    return update.run(params, optimizer.init(params), make_rollout(), key=KEY)


@pytest.fixture(scope="module")
def whole() -> UpdateResult:
    return run(WHOLE)


def test_parts_give_the_update_of_the_whole(whole: UpdateResult) -> None:
    parts = run(dataclasses.replace(WHOLE, batch_size=2, gradient_accumulation_steps=4))

    def assert_close(one: Any, other: Any) -> None:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)

    jax.tree.map(assert_close, parts.params, whole.params)
    assert parts.metrics == pytest.approx(whole.metrics, rel=1e-4, abs=1e-6)


def test_a_human_chunk_is_no_gap_and_no_reward_of_the_policy(whole: UpdateResult) -> None:
    figures = whole.metrics
    assert figures["logp_gap/max_ratio"] < 1e-6
    assert figures["rollout/human_fraction"] == 1 / 8
    assert figures["reward/chunk_mean"] == pytest.approx((28 - 5) / 7)
    # The tokens (1, 1) of the human's chunk are cloned. This costs 2 ln 2 over the seven chunks that train the policy,
    # before the first step.
    assert figures["loss/cloning"] == pytest.approx(2 * np.log(2) / 7, rel=0.1)


def test_the_distance_to_the_reference_is_told(whole: UpdateResult) -> None:
    # The policy's chunks 0, 1, 2, 4, 6, 7 have the tokens (0,0) (1,0) (0,0) (0,1) (0,1) (1,1), which are seven zeros
    # and five ones. A token costs ln 1/2 - ln ref, with ref = (e^.5, 1) / (e^.5 + 1). The mean is over six chunks.
    ref = np.log(np.exp([0.5, 0.0]) / (np.exp(0.5) + 1.0))
    expected = (12 * np.log(0.5) - 7 * ref[0] - 5 * ref[1]) / 6
    assert whole.metrics["kl/reference"] == pytest.approx(expected, rel=1e-4)
    assert whole.metrics["loss/reference"] > 0.0


def test_a_weight_without_a_reference_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ref_kl_coef must be 0 without a reference, got 0.5"):
        PPOUpdate(toy_policy.evaluate, make_optimizer(WHOLE), WHOLE)
