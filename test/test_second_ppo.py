"""Tests the formulas of training against a second implementation of them, on random numbers: values and gradients."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl.gae import gae
from chunk_ppo_ros.rl.losses import LossInputs, ppo_loss
from chunk_ppo_ros.rl.ratios import LEVELS
from support import second_ppo
from support.toy_policy import ToyScores

SEEDS = range(5)
NUM_CHUNKS, NUM_SLOTS = 6, 4
STEP = 1e-6  # of the second implementation's difference quotients, which are of float64


@functools.cache
def compiled_gae() -> Any:
    return jax.jit(gae)


@pytest.mark.parametrize("seed", SEEDS)
def test_advantages_and_returns_are_those_of_the_second_implementation(seed: int) -> None:
    random, num = np.random.default_rng(seed), 12
    terminated = random.random(num) < 0.2
    sequence = {
        "rewards": random.normal(size=num),
        "discounts": random.uniform(0.5, 1.0, num),
        "values": random.normal(size=num),
        "next_values": random.normal(size=num),
        "terminated": terminated,
        "segment_end": terminated | (random.random(num) < 0.2),
    }
    gae_lambda = random.random()
    got, returns = compiled_gae()(**sequence, gae_lambda=gae_lambda)
    expected = second_ppo.advantages(sequence, gae_lambda)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(returns, expected + sequence["values"], rtol=1e-5, atol=1e-6)


def random_arrays(seed: int) -> dict[str, Any]:
    """Returns a minibatch in which ratios leave the clip range at every level.

    It has pads, a takeover and a chunk of a human.
    """
    random = np.random.default_rng(seed)
    shape = NUM_CHUNKS, NUM_SLOTS
    old = -random.exponential(size=shape)
    lengths = random.integers(1, NUM_SLOTS + 1, NUM_CHUNKS)
    return {
        "old": old,
        "log_probs": old + 0.3 * random.normal(size=shape),
        "reference": old + 0.5 * random.normal(size=shape),
        "entropy": random.exponential(size=shape),
        "value": 2 * random.normal(size=NUM_CHUNKS),
        "token_mask": np.arange(NUM_SLOTS) < lengths[:, None],
        "policy_mask": np.array([True, True, True, True, False, False]),
        "human_mask": np.array([False, False, False, False, False, True]),
        "advantages": random.normal(size=NUM_CHUNKS),
        "returns": random.normal(size=NUM_CHUNKS),
    }


def config_of(level: str) -> PPOConfig:
    return PPOConfig(
        ratio=level,
        clip_coef=0.2,
        clip_coef_high=0.3,
        ent_coef=0.1,
        ref_kl_coef=0.7,
        bc_coef=0.4,
        value_huber_delta=1.0,
    )


@functools.cache
def compiled_loss(level: str) -> Any:
    def loss(log_probs: Any, entropy: Any, value: Any, inputs: LossInputs) -> Any:
        evaluation = ToyScores(log_probs, entropy, ValueEstimate.scalar(value))
        return ppo_loss(evaluation, inputs, config=config_of(level))[0]

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_and_its_gradients_are_those_of_the_second_implementation(seed: int, level: str) -> None:
    arrays = random_arrays(seed)
    inputs = LossInputs(
        old_log_probs=jnp.float32(arrays["old"]),
        reference_log_probs=jnp.float32(arrays["reference"]),
        **{name: arrays[name] for name in ("token_mask", "policy_mask", "human_mask")},
        **{name: jnp.float32(arrays[name]) for name in ("advantages", "returns")},
    )
    differentiated = {name: jnp.float32(arrays[name]) for name in ("log_probs", "entropy", "value")}
    loss, gradients = compiled_loss(level)(*differentiated.values(), inputs)
    np.testing.assert_allclose(loss, second_ppo.loss(arrays, config_of(level)), rtol=1e-5)
    for name, gradient in zip(differentiated, gradients, strict=True):
        np.testing.assert_allclose(gradient, quotients(arrays, name, config_of(level)), rtol=1e-3, atol=1e-5)


def quotients(arrays: dict[str, Any], name: str, config: PPOConfig) -> np.ndarray:
    """Returns the central differences of the second implementation's loss in each entry of an array."""
    made = np.zeros_like(arrays[name])
    for index in np.ndindex(made.shape):
        sides = []
        for sign in (1.0, -1.0):
            moved = arrays[name].copy()
            moved[index] += sign * STEP
            sides.append(second_ppo.loss({**arrays, name: moved}, config))
        made[index] = (sides[0] - sides[1]) / (2 * STEP)
    return made
