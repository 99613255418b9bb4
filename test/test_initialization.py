"""Tests fresh parameters: the variance of each drawn array, and which arrays begin at 0 or 1."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest

from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from support import small_policy

FAN_IN = {
    # The image tower has width 8 with two heads of 4, an MLP of 8 and patches of 16 pixels. The decoder has width 16.
    "img/embedding/kernel": 16 * 16 * 3,
    "img/pos_embedding": 8,
    "img/head/kernel": 8,
    **dict.fromkeys((f"MultiHeadDotProductAttention_0/{name}/kernel" for name in ("query", "key", "value", "out")), 8),
    "MlpBlock_0/Dense_0/kernel": 8,
    "MlpBlock_0/Dense_1/kernel": 8,
    # The decoder has two heads of 4 and an MLP of 8. A factor A has the fan-in of its matrix.
    "embedder/input_embedding": 16,
    **{f"attn/{name}/{leaf}": 16 for name in ("q_einsum", "kv_einsum") for leaf in ("w", "lora_a")},
    **{f"attn/attn_vec_einsum/{leaf}": 2 * 4 for leaf in ("w", "lora_a")},
    **{f"mlp/gating_einsum{suffix}": 16 for suffix in ("", "_lora_a")},
    **{f"mlp/linear{suffix}": 8 for suffix in ("", "_lora_a")},
    # Value heads have width 8 with four attention heads of 2. Their features are twice the width of the decoder.
    "value_head/hidden/kernel": 2 * 16,
    "value_head/chunk/hidden/kernel": 2 * 16 + 8,
    "value_head/chunk/step/kernel": 14,
    "value_head/chunk/step_embedding": 1,
    "value_head/chunk/attention/query/kernel": 2 * 16,
    "value_head/chunk/attention/prefix_key_value/kernel": 16,
    "value_head/chunk/attention/step_key_value/kernel": 8,
    "value_head/chunk/attention/out/kernel": 4 * 2,
}
"""The number of inputs of each drawn array, by the end of its name."""


@pytest.fixture(scope="module")
def leaves() -> dict[str, np.ndarray]:
    """Returns the parameters of a small policy with adapters and with a value head that attends to the chunk."""
    model = dataclasses.replace(small_policy.MODEL, lora_rank=2, chunk_value="attention")
    params = small_policy.make_policy(model).init(key=jax.random.key(0))
    return {name: np.asarray(leaf) for name, leaf in name_leaves(params).items()}


def test_each_array_that_is_drawn_has_variance_1_over_its_fan_in(leaves: dict[str, np.ndarray]) -> None:
    first = []
    for end, fan_in in FAN_IN.items():
        (leaf,) = (leaf for name, leaf in leaves.items() if name.endswith(end))
        deviation = math.sqrt(2.0 / leaf.size)  # of a mean of squares of normal numbers
        assert fan_in * np.mean(np.square(leaf)) == pytest.approx(1.0, abs=5.0 * deviation), end
        assert leaf.dtype == np.float32
        first.append(round(float(leaf.flat[0]) * math.sqrt(fan_in), 4))
    assert len(set(first)) == len(FAN_IN)  # No two arrays have the same numbers.


def test_all_other_arrays_begin_at_0_or_at_1(leaves: dict[str, np.ndarray]) -> None:
    """Biases, factors B and output layers are 0. So are the decoder's scales, to which 1 is added."""
    constant = {name: leaf for name, leaf in leaves.items() if not name.endswith(tuple(FAN_IN))}
    ones = {name for name, leaf in constant.items() if np.all(leaf == 1.0)}
    assert ones == {name for name in constant if "/img/" in name and name.endswith("/scale")}
    assert all(np.all(leaf == 0.0) for name, leaf in constant.items() if name not in ones)
    ends = ("/bias", "lora_b", "_norm/scale", "output/kernel", "LayerNorm_0/scale", "LayerNorm_1/scale")
    assert all(name.endswith(ends) for name in constant)
