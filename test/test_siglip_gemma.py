"""Tests layout and towers: positions, masks and numbers by hand, the cache, and published shapes."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import MODELS
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.backbone import gemma, gemma_attention, siglip
from chunk_ppo_ros.model.backbone.gemma_kernels import arrange_attention
from chunk_ppo_ros.model.backbone.layout import make_layout
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.model.backbone.variants import GemmaConfig, SigLIPConfig, resolve_variant
from support.published import parameter_tree
from support.trees import random_like

SMALL = GemmaConfig(width=8, depth=2, mlp_dim=12, num_heads=2, head_dim=4)
lay_out = jax.jit(make_layout, static_argnames=("patches", "causal_slots"))


def gemma_params(config: GemmaConfig) -> gemma.Params:
    return random_like(lambda: gemma.init_gemma(config, vocab_size=16, key=jax.random.key(0)))


def test_layout_of_a_masked_camera_and_a_short_prompt() -> None:
    """There are two cameras of one patch, three prompt slots of which two are valid, and two causal slots.

    Their order is i0 i1 p0 p1 p2 c0 c1.
    """
    layout = lay_out(jnp.array([[True, False]]), jnp.array([[True, True, False]]), patches=1, causal_slots=2)
    # The masked camera keeps position 1, and the first causal slot follows the last valid prompt token at 3.
    np.testing.assert_array_equal(layout.positions[0, [0, 1, 2, 3, 5, 6]], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(layout.valid[0], [1, 0, 1, 1, 0, 1, 1])
    assert layout.context == 5
    context = [1, 0, 1, 1, 0, 0, 0]  # images and prompt see each other, never the masked camera, the pad or later slots
    np.testing.assert_array_equal(layout.mask[0], [context] * 5 + [[1, 0, 1, 1, 0, 1, 0], [1, 0, 1, 1, 0, 1, 1]])


def test_layout_rows_are_independent() -> None:
    image_mask = jnp.array([[True], [False]])
    prompt_mask = jnp.array([[True, False, False], [True, True, True]])
    both = lay_out(image_mask, prompt_mask, patches=2, causal_slots=3)
    for row in range(2):
        alone = lay_out(image_mask[row : row + 1], prompt_mask[row : row + 1], patches=2, causal_slots=3)
        jax.tree.map(lambda a, b, row=row: np.testing.assert_array_equal(a[row], b[0]), both, alone)


def test_rotation_turns_a_pair_by_its_position() -> None:
    """With head_dim 4, dimension 0 pairs with 2 at 1 rad a position, and 1 with 3 at 10000^(-2/4) = 0.01 rad."""
    rotation = gemma_attention.make_rotation(jnp.array([[3]]), 4)
    turned = gemma_attention.rotate(jnp.array([[[[1.0, 1.0, 0.0, 0.0]]]]), rotation)[0, 0, 0]
    np.testing.assert_allclose(turned, [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)], rtol=1e-6)


def test_rms_norm_by_hand() -> None:
    """The root mean square of (3, 4) is sqrt(12.5), and the scale 1 doubles a number."""
    normed = gemma.rms_norm(jnp.array([0.0, 1.0]), jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(normed, [3 / math.sqrt(12.5), 2 * 4 / math.sqrt(12.5)], rtol=1e-5)


def test_attention_averages_values_when_keys_are_equal() -> None:
    """Zero queries give equal weights over visible keys. Slot 0 sees itself, and slot 1 sees both."""
    identity = jnp.eye(4)
    config = GemmaConfig(width=4, depth=1, mlp_dim=1, num_heads=2, head_dim=4)
    params = {
        "q_einsum": {"w": jnp.zeros((2, 4, 4))},
        "kv_einsum": {"w": jnp.stack([identity, identity])[:, None]},
        "attn_vec_einsum": {"w": jnp.stack([0.25 * identity, 0.75 * identity])},  # both heads see the same
    }
    x = jnp.array([[[2.0, 0, 0, 0], [0, 4.0, 0, 0]]])
    bias = jnp.where(jnp.tril(jnp.ones((1, 2, 2), bool)), 0.0, gemma_attention.MASKED)
    mixed, _ = gemma_attention.attend(
        config,
        arrange_attention(config, params, dtype=x.dtype),
        x,
        gemma_attention.make_rotation(jnp.zeros((1, 2), jnp.int32), 4),
        bias,
        None,
        0,
    )
    np.testing.assert_allclose(mixed[0], [[2, 0, 0, 0], [1, 2, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_queries_are_plain_attention_with_repeated_keys(kv_heads: int) -> None:
    """Query head n reads key/value head n // (N / K) (Ainslie et al., 2023). K = N has one matrix for all."""
    config = GemmaConfig(width=6, depth=1, mlp_dim=1, num_heads=4, head_dim=2, num_kv_heads=kv_heads)
    params = jax.tree.map(lambda leaf: leaf[0], gemma_params(config)["layers"])["attn"]
    x = np.random.default_rng(1).normal(size=(2, 5, 6)).astype(np.float32)

    @jax.jit
    def attend_both_ways(params: gemma.Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        bias = jnp.where(jnp.tril(jnp.ones((2, 5, 5), bool)), 0.0, gemma_attention.MASKED)
        rotation = gemma_attention.make_rotation(jnp.broadcast_to(jnp.arange(5), (2, 5)), 2)
        arranged = arrange_attention(config, params, dtype=x.dtype)
        ours, _ = gemma_attention.attend(config, arranged, x, rotation, bias, None, 0)
        if kv_heads == 4:
            assert set(params) == {"qkv_einsum", "attn_vec_einsum"}
            kernels = params["qkv_einsum"]["w"]
        else:
            key_value = jnp.repeat(params["kv_einsum"]["w"], 4 // kv_heads, axis=1)
            kernels = jnp.concatenate([params["q_einsum"]["w"][None], key_value])
        query, key, value = jnp.einsum("btw,inwh->ibtnh", x, kernels)
        query, key = gemma_attention.rotate(query, rotation), gemma_attention.rotate(key, rotation)
        logits = jnp.einsum("btnh,bsnh->bnts", query, key) * 2**-0.5
        weights = jax.nn.softmax(logits + bias[:, None], axis=-1)
        return ours, jnp.einsum("bnts,bsnh,nhw->btw", weights, value, params["attn_vec_einsum"]["w"])

    ours, mixed = attend_both_ways(params, x)
    np.testing.assert_allclose(ours, mixed, atol=1e-5)


@pytest.mark.parametrize(("depth", "kv_heads"), [(2, 1), (6, 1), (2, 2)])
def test_one_token_at_a_time_equals_the_full_forward(depth: int, kv_heads: int) -> None:
    """Depth 2 runs unrolled, and depth 6 runs as a loop."""
    config = dataclasses.replace(SMALL, depth=depth, num_heads=4, num_kv_heads=kv_heads)
    params = gemma_params(config)
    layout = lay_out(jnp.ones((2, 1), bool), jnp.array([[1, 1, 0], [1, 1, 1]], bool), patches=1, causal_slots=4)
    x = np.random.default_rng(1).normal(size=(2, 8, config.width)).astype(np.float32)
    run = jax.jit(functools.partial(gemma.run_gemma, config, params))
    full, _ = run(x, positions=layout.positions, mask=layout.mask)
    prefix = 5
    _, cache = run(x[:, :prefix], positions=layout.positions[:, :prefix], mask=layout.mask[:, :prefix, :prefix])
    cache = jax.jit(lambda cache: cache.padded(3))(cache)
    for slot in range(prefix, 8):
        here = slice(slot, slot + 1)
        hidden, cache = run(
            x[:, here],
            positions=layout.positions[:, here],
            mask=layout.mask[:, here],
            cache=cache,
            slot=jnp.int32(slot),
        )
        np.testing.assert_allclose(hidden[:, 0], full[:, slot], atol=2e-5)


def exponentials(jaxpr: jax.extend.core.Jaxpr) -> list[tuple[int, ...]]:
    """Returns the shapes of all exponentials in a program, those within its loops as well."""
    found = [equation.outvars[0].aval.shape for equation in jaxpr.eqns if equation.primitive.name == "exp"]
    inner = (sub for equation in jaxpr.eqns for sub in jax.extend.core.jaxprs_in_params(equation.params))
    return [*found, *(shape for sub in inner for shape in exponentials(sub))]


@pytest.mark.parametrize(("limit", "rows"), [(60, 12), (40, 8), (20, 4)])
def test_a_block_has_no_more_logits_than_it_may(monkeypatch: pytest.MonkeyPatch, limit: int, rows: int) -> None:
    """Three context queries of 4 heads are 12 rows of 5 logits: one block of 60, two of 40, or three of 20."""
    monkeypatch.setattr(gemma_attention, "BLOCK_LOGITS", limit)
    config = dataclasses.replace(SMALL, depth=1, num_heads=4, attend_in_blocks=True)
    layout = lay_out(jnp.ones((3, 1), bool), jnp.array([[1, 0], [1, 1], [1, 0]], bool), patches=1, causal_slots=2)
    run = functools.partial(
        gemma.run_gemma, config, positions=layout.positions, mask=layout.mask, shared=layout.context
    )
    x = jax.ShapeDtypeStruct((3, 5, config.width), jnp.float32)
    program = jax.make_jaxpr(lambda params, x: run(params, x)[0])(gemma_params(config), x)
    # The two causal queries of each of the three samples are not in blocks.
    assert sorted(exponentials(program.jaxpr)) == [(3, 2 * 4, 5), (rows, 5)]


@pytest.mark.parametrize(("block", "kv_heads"), [(60, 1), (40, 1), (40, 2)])
def test_attending_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch, block: int, kv_heads: int) -> None:
    """3 context queries x 5 keys x 4 heads are 60 logits.

    They make one block of 60, or two of 40, of which one has a pad.
    """
    monkeypatch.setattr(gemma_attention, "BLOCK_LOGITS", block)
    config = dataclasses.replace(SMALL, depth=1, num_heads=4, num_kv_heads=kv_heads)
    params = gemma_params(config)
    layout = lay_out(jnp.ones((3, 1), bool), jnp.array([[1, 0], [1, 1], [1, 0]], bool), patches=1, causal_slots=2)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 5, SMALL.width)), jnp.float32)

    def total(params: gemma.Params, config: GemmaConfig) -> jax.Array:
        hidden, _ = gemma.run_gemma(
            config, params, x, positions=layout.positions, mask=layout.mask, shared=layout.context
        )
        return jnp.sum(hidden**3)

    gradient = jax.jit(jax.value_and_grad(total), static_argnums=1)
    together = gradient(params, config)
    in_blocks = gradient(params, dataclasses.replace(config, attend_in_blocks=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), in_blocks, together)


def test_patches_are_read_row_by_row() -> None:
    """The kernel sums the first channel, in which pixel 255 is 1 and pixel 0 is -1, with four pixels a patch."""
    kernel = jnp.zeros((2, 2, 3, 1)).at[:, :, 0].set(1.0)
    image = np.zeros((1, 4, 4, 3), np.uint8)
    image[0, 0, 2, 0] = 255  # top right patch: 1 - 3 = -2 instead of -4
    embedded = siglip.embed_patches({"kernel": kernel, "bias": jnp.array([0.5])}, jnp.array(image))
    np.testing.assert_allclose(embedded[0, :, 0], [-3.5, -1.5, -3.5, -3.5])


def test_layer_norm_by_hand() -> None:
    """The numbers (1, 3) have the mean 2 and the deviation 1."""
    normed = siglip.layer_norm({"scale": jnp.array([1.0, 2.0]), "bias": jnp.array([0.0, 1.0])}, jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(normed, [-1, 3], atol=1e-5)


def test_recomputing_blocks_changes_no_gradient() -> None:
    config = SigLIPConfig(width=8, depth=2, mlp_dim=8, num_heads=2)
    params = random_like(
        lambda: siglip.init_siglip(config, image_size=4, patch_size=2, output_dim=6, key=jax.random.key(0))
    )
    images = jnp.asarray(np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), np.uint8))

    def total(params: siglip.Params, config: SigLIPConfig) -> jax.Array:
        return jnp.sum(siglip.apply_siglip(config, params, images, dtype=jnp.dtype("float32")) ** 2)

    gradient = jax.jit(jax.grad(total), static_argnums=1)
    kept = gradient(params, config)
    recomputed = gradient(params, dataclasses.replace(config, remat=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), kept, recomputed)


def test_acting_recomputes_nothing() -> None:
    """Recomputation is for the backward pass. The compiled work of acting is the same with and without `remat`."""
    config = dataclasses.replace(SMALL, depth=1)
    params = gemma_params(config)
    layout = lay_out(jnp.ones((1, 1), bool), jnp.ones((1, 2), bool), patches=1, causal_slots=1)
    x = jnp.zeros((1, 4, SMALL.width))

    def total(params: gemma.Params, config: GemmaConfig) -> jax.Array:
        return jnp.sum(gemma.run_gemma(config, params, x, positions=layout.positions, mask=layout.mask)[0])

    def operations(function: Callable[..., Any], config: GemmaConfig) -> float:
        return jax.jit(function, static_argnums=1).lower(params, config).compile().cost_analysis()["flops"]

    recomputing = dataclasses.replace(config, remat=True)
    assert operations(total, recomputing) == operations(total, config)
    assert operations(jax.grad(total), recomputing) > 1.1 * operations(jax.grad(total), config)


@pytest.mark.parametrize(("variant", "parameters"), [("gemma_2b", 2_923_335_408), ("gemma_2b_lora", 2_951_204_592)])
def test_parameter_tree_is_the_published_one(variant: str, parameters: int) -> None:
    published = json.loads(parameter_tree(variant))
    backbone = Pi0FAST.from_config(MODELS[variant])
    tree = jax.eval_shape(lambda: backbone.init(key=jax.random.key(0)))
    ours = {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in name_leaves(tree).items()}
    assert ours == published["params"]
    assert sum(math.prod(leaf["shape"]) for leaf in ours.values()) == parameters


def test_tiny_has_half_a_million_to_a_million_parameters() -> None:
    backbone = Pi0FAST.from_config(MODELS["tiny"])
    tree = jax.eval_shape(lambda: backbone.init(key=jax.random.key(0)))
    assert 400_000 < sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) < 1_000_000


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiple of num_heads \(3\), got 64"):
        SigLIPConfig(width=64, depth=1, mlp_dim=8, num_heads=3)
    with pytest.raises(ValueError, match="head_dim must be even, got 5"):
        dataclasses.replace(SMALL, head_dim=5)
    with pytest.raises(ValueError, match=r"num_heads must be a multiple of num_kv_heads \(3\), got 8"):
        dataclasses.replace(SMALL, num_heads=8, num_kv_heads=3)


def test_sizes_that_are_set_replace_the_variants() -> None:
    config = dataclasses.replace(
        MODELS["tiny"], tower_sizes=("gemma.width=40", "gemma.num_kv_heads=2", "siglip.depth=3"), lora_rank=8
    )
    variant = resolve_variant(config)
    assert variant.gemma.width == 40 and variant.gemma.num_kv_heads == 2 and variant.siglip.depth == 3
    assert variant.gemma.depth == resolve_variant(MODELS["tiny"]).gemma.depth
    assert variant.gemma.lora_scale == 16.0 / 8 and resolve_variant(MODELS["tiny"]).gemma.lora_scale == 0.0
    assert resolve_variant(MODELS["gemma_2b_lora"]).gemma.lora_rank == 16
