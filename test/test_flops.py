"""Tests operation counts against sums by hand."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.entries.model_size import size_settings
from chunk_ppo_ros.evaluation.bench import flops
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST

MODEL = Pi0FASTActorCriticConfig(
    paligemma_variant="tiny",
    cameras=("one", "two"),
    image_size=8,
    patch_size=4,
    vocab_size=64,
    tower_sizes=size_settings(
        siglip={"width": 6, "depth": 2, "mlp_dim": 10, "num_heads": 2},
        gemma={"width": 8, "depth": 3, "mlp_dim": 12, "num_heads": 2, "num_kv_heads": 1, "head_dim": 4},
    ),
)


def test_image_tower() -> None:
    # There are 4 patches of 4 x 4 x 3 = 48 numbers. The embedding has 4 * 48 * 6 products = 1152. A block has 1248:
    # four projections 6 x 6 of 4 patches, 4 * 4 * 36 = 576, attention 2 * 4 * 4 * 6 = 192, and MLP 2 * 4 * 6 * 10 =
    # 480. The head has 4 * 6 * 8 = 192. With two cameras, two blocks and two operations a product the sum is 2 * 2 *
    # (1152 + 2 * 1248 + 192) = 15360.
    assert flops.image_flops(MODEL) == 15_360


def test_decoder_and_head() -> None:
    # There are 5 queries and 7 keys. Queries and outputs have 2 * 5 * 8 * 8 = 640 products, keys and values 2 * 5 * 8 *
    # 4 = 320, attention 2 * 5 * 7 * 8 = 560, and the gated MLP 3 * 5 * 8 * 12 = 1440. These are 2960 products, in three
    # blocks, with two operations each.
    assert flops.decoder_flops(MODEL, queries=5, keys=7) == 2 * 3 * 2960
    assert flops.head_flops(MODEL, tokens=3, classes=20) == 2 * 3 * 8 * 20


def test_a_gradient_step_takes_three_products_for_each_of_the_forward_pass() -> None:
    forward = 15_360 + flops.decoder_flops(MODEL, queries=5, keys=5) + 2 * 3 * 8 * 20
    assert flops.gradient_flops(MODEL, slots=5, scored=3, classes=20) == 3 * forward
    embedded = flops.gradient_flops(MODEL, slots=5, scored=3, classes=20, image_products=0)
    assert 3 * forward - embedded == 3 * 15_360


def test_the_compiler_counts_about_the_same_for_the_image_tower() -> None:
    """XLA counts norms, softmax and gelu as well, which the products outweigh in a wide tower."""
    wide = size_settings(
        siglip={"width": 128, "depth": 2, "mlp_dim": 512, "num_heads": 4},
        gemma={"width": 8, "depth": 3, "mlp_dim": 12, "num_heads": 2, "head_dim": 4},
    )
    model = dataclasses.replace(MODEL, tower_sizes=wide)
    backbone = Pi0FAST.from_config(model)
    params = jax.eval_shape(lambda: backbone.init(key=jax.random.key(0)))
    images = jax.ShapeDtypeStruct((1, 2, 8, 8, 3), jnp.uint8)
    cost = jax.jit(backbone.embed_images).lower(params, images).compile().cost_analysis()
    assert cost is not None
    assert cost["flops"] == pytest.approx(flops.image_flops(model), rel=0.1)
