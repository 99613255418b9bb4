"""The decoder's attention: grouped queries with RoPE over a cache of keys and values, in blocks where that is faster.

Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", 2023.
Shape letters: B batch, Q query slots, S key slots, W width, N query heads, K key/value heads, h head width, D depth.
"""

from __future__ import annotations

import math

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.backbone.gemma_kernels import AttentionKernels, project
from chunk_ppo_ros.model.backbone.variants import GemmaConfig

MASKED = -2.3819763e38
"""Added to the attention logit of a hidden key; openpi's value, finite so that no row is NaN."""

_MAX_WAVELENGTH = 10_000.0
BLOCK_LOGITS = 1 << 21  # attention logits, float32, that are worked on at once: 8 MiB


@flax.struct.dataclass
class KVCache:
    """Keys (after RoPE) and values of every block, in the dtype of the computation.

    Attributes:
        keys: [D, B, K, S, h].
        values: [D, B, K, S, h].
    """

    keys: Array
    values: Array

    def by_block(self) -> tuple[KVCache, ...]:
        """The cache of each block, leaves [B, K, S, h]."""
        return tuple(jax.tree.map(lambda leaf, block=block: leaf[block], self) for block in range(len(self.keys)))

    def padded(self, slots: int) -> KVCache:
        """This cache with `slots` more key slots, zero, at the end."""
        widths = ((0, 0), (0, 0), (0, 0), (0, slots), (0, 0))
        return KVCache(keys=jnp.pad(self.keys, widths), values=jnp.pad(self.values, widths))


def attend(
    config: GemmaConfig,
    kernels: AttentionKernels,
    x: Array,
    rotation: tuple[Array, Array],
    bias: Array,
    cache: KVCache | None,
    slot: Array | int,
    shared_bias: Array | None = None,
) -> tuple[Array, KVCache]:
    """Attention of x [B, Q, W] with bias [B, Q, S] on the logits, and the cache with x in it.

    With shared_bias [B, 1, S] it holds for the first queries, and `bias` has the rows of the others only.
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


def _into_heads(config: GemmaConfig, kernels: AttentionKernels, x: Array) -> Array:
    """Queries, keys and values of x [B, Q, W], [B, Q, N + 2 K, h]."""
    heads = project(x, kernels.into_heads).reshape(*x.shape[:2], -1, config.head_dim)
    if kernels.into_adapter is not None:
        heads += lora.project_into_heads(x, *kernels.into_adapter) * config.lora_scale
    return heads


def _from_heads(config: GemmaConfig, kernels: AttentionKernels, x: Array) -> Array:
    """The output projection, [B, Q, W], of all heads x [B, Q, N * h]."""
    joined = project(x, kernels.from_heads)
    if kernels.from_adapter is not None:
        joined += lora.project_from_heads(x, *kernels.from_adapter) * config.lora_scale
    return joined


def _mix_in_blocks(query: Array, keys: Array, values: Array, bias: Array) -> Array:
    """`_mix_heads` of each sample, [B, Q, K, n * h], one block of queries after the other; bias [B, 1, S] serves all.

    The blocks are even, and small enough for a CPU's cache; the backward pass recomputes a block's weights.
    """
    queries = query.shape[1]
    blocks = math.ceil(math.prod(query.shape[1:-1]) * keys.shape[2] / BLOCK_LOGITS)
    size = math.ceil(queries / blocks)

    def mix_sample(sample: tuple[Array, Array, Array, Array]) -> Array:
        query, *context = sample
        padded = jnp.pad(query, ((0, blocks * size - queries), (0, 0), (0, 0), (0, 0)))
        mix = jax.checkpoint(lambda block: _mix_heads(block, *context))
        mixed = jax.lax.map(mix, padded.reshape(blocks, size, *query.shape[1:]))
        return mixed.reshape(-1, *mixed.shape[2:])[:queries]

    return jax.lax.map(mix_sample, (query, keys, values, bias))


def _mix_heads(query: Array, keys: Array, values: Array, bias: Array) -> Array:
    """`_mix` of each key/value head: query [Q, K, n, h], keys and values [K, S, h], bias [Q, S] -> [Q, K, n * h].

    A loop, because a batch axis, even of one head, would keep XLA from fusing what is within.
    """
    heads = range(keys.shape[0])
    return jnp.stack([_mix(query[:, head], keys[head], values[head], bias) for head in heads], axis=1)


def _mix(query: Array, keys: Array, values: Array, bias: Array) -> Array:
    """softmax(query keys^T + bias) values of one sample and one key/value head, [Q, n * h].

    All n heads of all queries that share the keys are rows of one product, and the logits stay a matrix throughout: XLA
    then fuses bias and softmax with the products.

    Args:
        query: [Q, n, h], scaled.
        keys: [S, h].
        values: [S, h].
        bias: float32 [Q, S], or [1, S] for all queries.
    """
    queries, heads, head_dim = query.shape
    if bias.shape[0] > 1:
        bias = jnp.repeat(bias, heads, axis=0)
    logits = jnp.einsum("rh,kh->rk", query.reshape(-1, head_dim), keys, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(logits + bias, axis=-1).astype(values.dtype)
    return (weights @ values).reshape(queries, heads * head_dim)


def _write(cache: KVCache | None, new: KVCache, slot: Array | int) -> KVCache:
    """`cache` [B, K, S, h] with `new` [B, K, Q, h] from `slot` on, or `new` alone where there is no cache."""
    if cache is None:
        return new
    return jax.tree.map(lambda old, fresh: jax.lax.dynamic_update_slice_in_dim(old, fresh, slot, axis=2), cache, new)


def make_rotation(positions: Array, head_dim: int) -> tuple[Array, Array]:
    """Sine and cosine of RoPE (Su et al., 2021, eq. 34), float32 [B, Q, 1, h / 2]."""
    wavelengths = _MAX_WAVELENGTH ** (jnp.arange(head_dim // 2, dtype=jnp.float32) * (2.0 / head_dim))
    position = positions[..., None, None].astype(jnp.float32)
    # XLA would multiply by the wavelengths' reciprocals, which at position 800 is off by up to 6e-5 rad, and logits
    # by 2e-4; behind the barrier it divides, as it does in the release that openpi pins (jax 0.5.3).
    divisors = jax.lax.optimization_barrier(jnp.broadcast_to(wavelengths, (*position.shape[:-1], head_dim // 2)))
    radians = position / divisors
    return jnp.sin(radians), jnp.cos(radians)


def rotate(x: Array, rotation: tuple[Array, Array]) -> Array:
    """x [B, Q, N, h] turned by RoPE in float32; dimension i pairs with i + h / 2."""
    sine, cosine = rotation
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1).astype(x.dtype)
