"""Tests that adapters add what openpi's formulas say, begin as nothing, and merge into plain matrices."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import TINY_MODEL, Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.backbone import gemma, gemma_attention, lora
from chunk_ppo_ros.model.backbone.gemma_kernels import arrange_attention, arrange_mlp
from chunk_ppo_ros.model.backbone.layout import make_layout
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.model.backbone.variants import GemmaConfig
from support.trees import random_like

ADAPTED = dataclasses.replace(TINY_MODEL, lora_rank=4, lora_alpha=6.0)
PLAIN = TINY_MODEL


def init(config: Pi0FASTActorCriticConfig, key: int = 0) -> Any:
    """Returns fresh parameters of the two towers, made by one program."""
    return jax.jit(lambda key: Pi0FAST.from_config(config).init(key=key))(jax.random.key(key))


def merge(params: Any, config: Pi0FASTActorCriticConfig) -> Any:
    """Returns parameters with their adapters merged, by one program."""
    return jax.jit(lambda params: lora.merge_adapters(params, config))(params)


def backbone_with_full_factors(config: Pi0FASTActorCriticConfig, key: int = 0) -> Any:
    """Returns parameters whose factors B are as random as all others, as after training."""
    return random_like(lambda: Pi0FAST.from_config(config).init(key=jax.random.key(0)), scale=0.1, seed=key)


def hidden_states(config: Pi0FASTActorCriticConfig, params: Any) -> jax.Array:
    backbone = Pi0FAST.from_config(config)
    layout = make_layout(jnp.ones((2, 1), bool), jnp.array([[1, 1, 0], [1, 1, 1]], bool), patches=2, causal_slots=2)
    x = jax.random.normal(jax.random.key(9), (2, 7, backbone.variant.gemma.width))
    return jax.jit(backbone.run)(params, x, layout)[0]


def test_names_of_adapters() -> None:
    names = name_leaves(jax.eval_shape(lambda: Pi0FAST.from_config(ADAPTED).init(key=jax.random.key(0))))
    plain = name_leaves(jax.eval_shape(lambda: Pi0FAST.from_config(PLAIN).init(key=jax.random.key(0))))
    assert {name for name in names if not lora.is_adapter(name)} == set(plain)
    assert len(names) - len(plain) == 2 * 5  # queries, keys and values, output, gating, linear
    assert not lora.is_adapter("value_head/lora_ab/kernel")
    assert lora.factor_names("attn/q_einsum/w") == ("attn/q_einsum/lora_a", "attn/q_einsum/lora_b")
    assert lora.factor_names("mlp/linear") == ("mlp/linear_lora_a", "mlp/linear_lora_b")


def test_fresh_adapters_change_nothing() -> None:
    adapted = init(ADAPTED)
    plain = flax.traverse_util.flatten_dict(adapted, sep="/")
    plain = flax.traverse_util.unflatten_dict(
        {name: leaf for name, leaf in plain.items() if not lora.is_adapter(name)}, sep="/"
    )
    np.testing.assert_array_equal(hidden_states(ADAPTED, adapted), hidden_states(PLAIN, plain))
    jax.tree.map(np.testing.assert_array_equal, merge(adapted, ADAPTED), plain)


def test_a_fresh_adapter_learns_through_b() -> None:
    """B = 0 keeps A still at first, but B itself has a gradient, so that adapters leave the identity."""
    gradients = jax.jit(jax.grad(lambda params: jnp.sum(hidden_states(ADAPTED, params) ** 2)))(init(ADAPTED))
    norms = {name: float(np.linalg.norm(leaf)) for name, leaf in name_leaves(gradients).items()}
    assert all(norms[name] == 0.0 for name in norms if name.endswith("lora_a"))
    assert all(norms[name] > 0.0 for name in norms if name.endswith("lora_b"))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_merged_equals_adapted(kv_heads: int) -> None:
    config = dataclasses.replace(ADAPTED, tower_sizes=(f"gemma.num_kv_heads={kv_heads}",))
    plain = dataclasses.replace(PLAIN, tower_sizes=(f"gemma.num_kv_heads={kv_heads}",))
    adapted = backbone_with_full_factors(config)
    merged = merge(adapted, config)
    expected = jax.eval_shape(lambda: Pi0FAST.from_config(plain).init(key=jax.random.key(0)))
    assert jax.tree.map(lambda leaf: leaf.shape, merged) == jax.tree.map(lambda leaf: leaf.shape, expected)
    np.testing.assert_allclose(hidden_states(plain, merged), hidden_states(config, adapted), atol=1e-5)
    unchanged = {name: leaf for name, leaf in name_leaves(adapted).items() if not lora.is_adapter(name)}
    moved = [name for name, leaf in name_leaves(merged).items() if not np.array_equal(leaf, unchanged[name])]
    assert len(moved) == (4 if kv_heads == 4 else 5)


def test_merging_without_adapters_changes_nothing() -> None:
    plain = random_like(lambda: Pi0FAST.from_config(PLAIN).init(key=jax.random.key(0)))
    jax.tree.map(np.testing.assert_array_equal, merge(plain, PLAIN), plain)


def test_attention_adapters_by_hand() -> None:
    """Two heads of width 2 see x = (1, 0) at rank 1 and alpha 3, so the scale is 3.

    Keys are zero, so one slot attends to itself and its value is v = x W_v + 3 (x A_v) B_v = (0, 0) + 3 * 2 * (1, 0).
    Every head mixes (6, 0). The output's A reads both heads: 6 * 1 + 6 * 2 = 18. Its B are summed: (1, 0) + (0, 5). So
    the output is 3 * 18 * (1, 5), where A_n B_n for each head would give 3 * (6 * (1, 0) + 12 * (0, 5)).
    """
    config = GemmaConfig(width=2, depth=1, mlp_dim=1, num_heads=2, head_dim=2, lora_rank=1, lora_alpha=3.0)
    params = {
        "q_einsum": {"w": jnp.zeros((2, 2, 2)), "lora_a": jnp.zeros((2, 2, 1)), "lora_b": jnp.zeros((2, 1, 2))},
        "kv_einsum": {
            "w": jnp.zeros((2, 1, 2, 2)),
            "lora_a": jnp.array([[[[0.0], [0.0]]], [[[2.0], [0.0]]]]),
            "lora_b": jnp.array([[[[0.0, 0.0]]], [[[1.0, 0.0]]]]),
        },
        "attn_vec_einsum": {
            "w": jnp.zeros((2, 2, 2)),
            "lora_a": jnp.array([[[1.0], [0.0]], [[2.0], [0.0]]]),
            "lora_b": jnp.array([[[1.0, 0.0]], [[0.0, 5.0]]]),
        },
    }
    x = jnp.array([[[1.0, 0.0]]])

    @jax.jit
    def attend(params: Any) -> jax.Array:
        weights = arrange_attention(config, params, dtype=x.dtype)
        rotation = gemma_attention.make_rotation(jnp.zeros((1, 1), jnp.int32), 2)
        return gemma_attention.attend(config, weights, x, rotation, jnp.zeros((1, 1, 1)), None, 0)[0]

    mixed = attend(params)
    np.testing.assert_allclose(mixed[0, 0], [3 * 18, 3 * 18 * 5])


def test_query_adapters_belong_to_their_head() -> None:
    """The input is x = (1, 2), with A_0 = (1, 0)^T, A_1 = (0, 1)^T, B_0 = (1, 0), B_1 = (0, 1).

    Head 0 gets (1, 0), and head 1 gets (0, 2).
    """
    a, b = jnp.eye(2)[:, :, None], jnp.eye(2)[:, None, :]
    np.testing.assert_array_equal(lora.project_into_heads(jnp.array([1.0, 2.0]), a, b), [[1, 0], [0, 2]])


def test_feed_forward_adapters_by_hand() -> None:
    """Width and hidden width are 1, x = 2, all plain matrices are 0, and the rank is 1.

    The alpha of 7 is left out here, as openpi does it. The gate is 2 * 3 = 6 and up is 2 * 0.5 = 1. With gelu(6) = 6
    within 1e-8 the hidden number is 6, and the output is 6 * 4 = 24.
    """
    config = GemmaConfig(width=1, depth=1, mlp_dim=1, num_heads=2, head_dim=2, lora_rank=1, lora_alpha=7.0)
    params = {
        "gating_einsum": jnp.zeros((2, 1, 1)),
        "gating_einsum_lora_a": jnp.array([[[3.0]], [[0.5]]]),
        "gating_einsum_lora_b": jnp.ones((2, 1, 1)),
        "linear": jnp.zeros((1, 1)),
        "linear_lora_a": jnp.array([[4.0]]),
        "linear_lora_b": jnp.ones((1, 1)),
    }
    np.testing.assert_allclose(
        gemma.gated_mlp(config, arrange_mlp(config, params, dtype=jnp.dtype("float32")), jnp.array([[[2.0]]])),
        [[[24.0]]],
        rtol=1e-6,
    )
