"""Tests how JAX is set up for all of model/ and rl/, and how leaves of trees are named and placed."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.core_jax.named_leaves import HasShape, leaf_shardings, name_leaves
from support import toy_policy


def test_float32_products_are_exact_unless_somebody_says_otherwise() -> None:
    """Otherwise GPUs would round the factors to TF32, and acting and scoring would give different log-probs."""
    matrix = jax.ShapeDtypeStruct((2, 2), jnp.float32)
    (product,) = jax.make_jaxpr(jnp.matmul)(matrix, matrix).eqns
    assert set(product.params["precision"]) == {jax.lax.Precision.HIGHEST}


def test_an_observation_goes_through_jit_with_all_its_fields() -> None:
    observation = toy_policy.observation()
    passed = jax.jit(lambda given: given)(observation)
    assert len(jax.tree.leaves(observation)) == len(dataclasses.fields(observation))
    jax.tree.map(np.testing.assert_array_equal, passed, observation)


def test_leaves_have_the_names_of_their_paths() -> None:
    tree = {"head": {"kernel": np.zeros(2), "bias": np.ones(1)}, "blocks": [np.zeros(3)]}
    named = name_leaves(tree)
    assert list(named) == ["blocks/0", "head/bias", "head/kernel"]
    assert name_leaves(named) == named
    assert all(isinstance(leaf, HasShape) for leaf in named.values())


def test_leaves_are_placed_together_or_one_by_one() -> None:
    tree = {"head": {"kernel": np.zeros(2), "bias": np.ones(1)}, "table": np.zeros(3)}
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    assert leaf_shardings(tree, None) == dict.fromkeys(("head/bias", "head/kernel", "table"), first)
    pinned = jax.sharding.SingleDeviceSharding(jax.local_devices()[0], memory_kind="unpinned_host")
    placed = leaf_shardings(tree, {"head": pinned, "table": first})
    assert placed == {"head/bias": pinned, "head/kernel": pinned, "table": first}
