"""Computes the decoder's attention: grouped queries with RoPE over a cache of keys and values.

Where the configuration asks for it, the attention is computed in blocks, which is faster for small decoders on a CPU.

Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", 2023.
Shape letters: B batch, Q query slots, S key slots, W width, N query heads, K key/value heads, n query heads of each of
these, h head width, D depth.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float, Float32, Int

from chunk_ppo_ros.core_jax.arrays import Array, Scalar
from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.backbone.gemma_kernels import AttentionKernels, project
from chunk_ppo_ros.model.backbone.variants import GemmaConfig

Rotation: TypeAlias = tuple[Float32[Array, "B Q 1 pairs"], Float32[Array, "B Q 1 pairs"]]
"""The sine and cosine of the angle by which RoPE turns each pair of dimensions."""

MASKED = -2.3819763e38
"""The number that is added to the attention logit of a hidden key. It is openpi's, and finite so that no row is NaN."""

_MAX_WAVELENGTH = 10_000.0
BLOCK_LOGITS = 1 << 21  # The largest number of float32 attention logits of one block; they take 8 MiB.


@flax.struct.dataclass
class KVCache:
    """Keys (after RoPE) and values of every block, in the dtype of the computation.

    Attributes:
        keys: keys of all heads of a block, with a leading axis of blocks where the cache is that of several blocks.
        values: values of all heads of a block, with the same leading axis.
    """

    keys: Float[Array, "*D B K S h"]
    values: Float[Array, "*D B K S h"]

    def by_block(self) -> tuple[KVCache, ...]:
        """Returns the cache of each block, without the axis of blocks."""
        return tuple(jax.tree.map(lambda leaf, block=block: leaf[block], self) for block in range(len(self.keys)))

    def padded(self, slots: int) -> KVCache:
        """Returns this cache with `slots` more key slots, zero, at the end."""
        widths = ((0, 0), (0, 0), (0, 0), (0, slots), (0, 0))
        return KVCache(keys=jnp.pad(self.keys, widths), values=jnp.pad(self.values, widths))


def attend(
    config: GemmaConfig,
    kernels: AttentionKernels,
    x: Float[Array, "B Q W"],
    rotation: Rotation,
    bias: Float32[Array, "B others S"],
    cache: KVCache | None,
    slot: Scalar,
    shared_bias: Float32[Array, "B 1 S"] | None = None,
) -> tuple[Float[Array, "B Q W"], KVCache]:
    """Returns the attention's output for x, and the cache with the keys and values of x in it.

    Args:
        config: size of the decoder.
        kernels: matrices of the block's attention.
        x: hidden states from which the queries and the new keys and values are made.
        rotation: what `make_rotation` returned for the queries' positions.
        bias: numbers added to the logits of the last queries, or of all queries where there is no `shared_bias`.
        cache: the block's keys and values of S slots; None takes only those of x.
        slot: first slot of x in the cache.
        shared_bias: numbers added to the logits of each of the first Q - others queries.
    """
    heads, kv_heads = config.num_heads, config.num_kv_heads
    query, key, value = jnp.split(_into_heads(config, kernels, x), [heads, heads + kv_heads], axis=2)
    query = rotate(query, rotation) * config.head_dim**-0.5
    key, value = rotate(key, rotation).swapaxes(1, 2), value.swapaxes(1, 2)
    cache = _write(cache, KVCache(keys=key, values=value), slot)
    query = query.reshape(*x.shape[:2], kv_heads, -1, config.head_dim)
    shared = x.shape[1] - bias.shape[1]
    mixed = jax.vmap(_mix_heads)(query[:, shared:], cache.keys, cache.values, bias)
    if shared_bias is not None:
        alike = _mix_in_blocks(query[:, :shared], cache.keys, cache.values, shared_bias)
        mixed = jnp.concatenate([alike, mixed], axis=1)
    return _from_heads(config, kernels, mixed.reshape(*x.shape[:2], -1)), cache


def _into_heads(
    config: GemmaConfig, kernels: AttentionKernels, x: Float[Array, "B Q W"]
) -> Float[Array, "B Q heads h"]:
    """Returns the queries, keys and values of x, which are N + 2 K heads together."""
    heads = project(x, kernels.into_heads).reshape(*x.shape[:2], -1, config.head_dim)
    if kernels.into_adapter is not None:
        heads += lora.project_into_heads(x, *kernels.into_adapter) * config.lora_scale
    return heads


def _from_heads(config: GemmaConfig, kernels: AttentionKernels, x: Float[Array, "B Q heads"]) -> Float[Array, "B Q W"]:
    """Returns the output projection of x, which has all heads side by side, N * h numbers."""
    joined = project(x, kernels.from_heads)
    if kernels.from_adapter is not None:
        joined += lora.project_from_heads(x, *kernels.from_adapter) * config.lora_scale
    return joined


def _mix_in_blocks(
    query: Float[Array, "B Q K n h"],
    keys: Float[Array, "B K S h"],
    values: Float[Array, "B K S h"],
    bias: Float32[Array, "B 1 S"],
) -> Float[Array, "B Q K n*h"]:
    """Returns `_mix_heads` of each sample, one block of queries after the other. One row of bias serves all of them.

    The blocks are even, and small enough for a CPU's cache. The backward pass recomputes a block's weights.
    """
    queries = query.shape[1]
    blocks = math.ceil(math.prod(query.shape[1:-1]) * keys.shape[2] / BLOCK_LOGITS)
    size = math.ceil(queries / blocks)

    def mix_sample(sample: tuple[Array, Array, Array, Array]) -> Float[Array, "Q K heads"]:
        query, *context = sample
        padded = jnp.pad(query, ((0, blocks * size - queries), (0, 0), (0, 0), (0, 0)))
        mix = jax.checkpoint(lambda block: _mix_heads(block, *context))
        mixed = jax.lax.map(mix, padded.reshape(blocks, size, *query.shape[1:]))
        return mixed.reshape(-1, *mixed.shape[2:])[:queries]

    return jax.lax.map(mix_sample, (query, keys, values, bias))


def _mix_heads(
    query: Float[Array, "Q K n h"],
    keys: Float[Array, "K S h"],
    values: Float[Array, "K S h"],
    bias: Float32[Array, "#Q S"],
) -> Float[Array, "Q K n*h"]:
    """Returns `_mix` of each key/value head.

    This is a Python loop over heads. A batch axis, even of one head, would keep XLA from fusing the operations within.
    """
    heads = range(keys.shape[0])
    return jnp.stack([_mix(query[:, head], keys[head], values[head], bias) for head in heads], axis=1)


def _mix(
    query: Float[Array, "Q n h"], keys: Float[Array, "S h"], values: Float[Array, "S h"], bias: Float32[Array, "#Q S"]
) -> Float[Array, "Q n*h"]:
    """Returns softmax(query keys^T + bias) values of one sample and one key/value head.

    All n heads of all queries that share the keys are rows of one product, and the logits stay a matrix throughout.
    XLA then fuses bias and softmax with the products.

    Args:
        query: scaled queries of all n heads that share the keys.
        keys: keys of S slots.
        values: values of S slots.
        bias: numbers added to the logits of each query, or one row for all queries.
    """
    queries, heads, head_dim = query.shape
    if bias.shape[0] > 1:
        bias = jnp.repeat(bias, heads, axis=0)
    logits = jnp.einsum("rh,kh->rk", query.reshape(-1, head_dim), keys, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(logits + bias, axis=-1).astype(values.dtype)
    return (weights @ values).reshape(queries, heads * head_dim)


def _write(cache: KVCache | None, new: KVCache, slot: Scalar) -> KVCache:
    """Returns the cache with the new keys and values from `slot` on; without a cache, the new ones alone."""
    if cache is None:
        return new
    return jax.tree.map(lambda old, fresh: jax.lax.dynamic_update_slice_in_dim(old, fresh, slot, axis=2), cache, new)


def make_rotation(positions: Int[Array, "B Q"], head_dim: int) -> Rotation:
    """Returns the sine and cosine of RoPE (Su et al., 2021, eq. 34) for positions, h / 2 numbers each."""
    wavelengths = _MAX_WAVELENGTH ** (jnp.arange(head_dim // 2, dtype=jnp.float32) * (2.0 / head_dim))
    position = positions[..., None, None].astype(jnp.float32)
    # XLA would multiply by the wavelengths' reciprocals. At position 800 that changes angles by up to 6e-5 rad and
    # logits by 2e-4. The barrier makes it divide, as it does in the release that openpi pins (jax 0.5.3).
    divisors = jax.lax.optimization_barrier(jnp.broadcast_to(wavelengths, (*position.shape[:-1], head_dim // 2)))
    radians = position / divisors
    return jnp.sin(radians), jnp.cos(radians)


def rotate(x: Float[Array, "B Q N h"], rotation: Rotation) -> Float[Array, "B Q N h"]:
    """Returns x turned by RoPE, computed in float32. Dimension i is turned together with dimension i + h / 2."""
    sine, cosine = rotation
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1).astype(x.dtype)
