"""The decoder: Gemma, as plain functions over openpi's parameter tree, with adapters where the tree has them.

Source: Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024. Blocks are stacked on the first
axis of each leaf. Training, prefill and decoding go through `run_gemma`; positions and masks come from `layout.py`.
Shape letters: B batch, Q query slots, S key slots, W width, N query heads, K key/value heads, h head width, D depth,
V vocabulary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model import lora
from chunk_ppo_ros.model.gemma_kernels import (
    AttentionKernels,
    BlockKernels,
    MlpKernels,
    arrange_block,
)
from chunk_ppo_ros.model.initialization import Spec, draw_weights
from chunk_ppo_ros.model.variants import GemmaConfig

Params = dict[str, Any]

_NORM_EPSILON = 1e-6
_MAX_WAVELENGTH = 10_000.0
_BLOCK_LOGITS = 1 << 21  # attention logits, float32, that are worked on at once: 8 MiB
_MASKED = -2.3819763e38  # added to the attention logit of a hidden key; openpi's value, finite so that no row is NaN


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


def init_gemma(config: GemmaConfig, *, vocab_size: int, key: Array) -> Params:
    """Fresh float32 parameters. Embedding rows have norm 1 on average, so text and logits start at unit variance."""
    embedding_key, block_key = jax.random.split(key)
    blocks = jax.vmap(functools.partial(_init_block, config))(jax.random.split(block_key, config.depth))
    embedding = draw_weights({"embedding": ((vocab_size, config.width), config.width)}, key=embedding_key)
    return {
        "embedder": {"input_embedding": embedding["embedding"]},
        "layers": blocks,
        "final_norm": {"scale": jnp.zeros(config.width)},
    }


def _init_block(config: GemmaConfig, key: Array) -> Params:
    matrices = _matrices(config)
    drawn, zero = lora.factor_specs(matrices, config.lora_rank) if config.lora_rank else ({}, {})
    leaves = {
        **draw_weights(matrices, key=key),
        **draw_weights(drawn, key=jax.random.fold_in(key, 1)),  # on their own, for models that have the rest
        **{name: jnp.zeros(shape) for name, shape in zero.items()},
        "pre_attention_norm/scale": jnp.zeros(config.width),
        "pre_ffw_norm/scale": jnp.zeros(config.width),
    }
    return flax.traverse_util.unflatten_dict(leaves, sep="/")


def _matrices(config: GemmaConfig) -> Spec:
    """Shape and fan-in of a block's matrices, by name; as many key/value as query heads make another tree."""
    width, heads, kv_heads, head_dim = config.width, config.num_heads, config.num_kv_heads, config.head_dim
    if kv_heads == heads:
        into_heads: Spec = {"attn/qkv_einsum/w": ((3, heads, width, head_dim), width)}
    else:
        into_heads = {
            "attn/q_einsum/w": ((heads, width, head_dim), width),
            "attn/kv_einsum/w": ((2, kv_heads, width, head_dim), width),
        }
    return {
        **into_heads,
        "attn/attn_vec_einsum/w": ((heads, head_dim, width), heads * head_dim),
        "mlp/gating_einsum": ((2, width, config.mlp_dim), width),
        "mlp/linear": ((config.mlp_dim, width), config.mlp_dim),
    }


def embed_tokens(params: Params, tokens: Array, *, dtype: jnp.dtype) -> Array:
    """dtype [..., W]: rows of the embedding for int32 tokens [...], times sqrt(W)."""
    table = params["embedder"]["input_embedding"]
    return (table[tokens] * table.shape[-1] ** 0.5).astype(dtype)


def run_gemma(
    config: GemmaConfig,
    params: Params,
    x: Array,
    *,
    positions: Array,
    mask: Array,
    shared: int = 0,
    cache: KVCache | None = None,
    slot: Array | int = 0,
) -> tuple[Array, KVCache]:
    """Runs all blocks and the final norm.

    Args:
        config: size of the decoder.
        params: the tree of `init_gemma`, float32.
        x: embeddings [B, Q, W], in the dtype of the computation.
        positions: int32 [B, Q], for RoPE.
        mask: bool [B, Q, S], true where the query sees the key. Without a cache the keys are the queries' own, S = Q.
        shared: queries at the beginning that all see the same keys. `attend_in_blocks` reads one row of the mask for
            them, which halves the time of a gradient over images.
        cache: keys and values of S slots, into which those of x are written.
        slot: first slot of x in the cache.

    Returns:
        Hidden states [B, Q, W] after the final norm, and the cache with x in it.
    """
    block = _make_block(config, positions, mask, shared=shared, slot=slot)

    def turn(x: Array, layer: tuple[Params, KVCache | None]) -> tuple[Array, KVCache]:
        block_params, block_cache = layer
        return block(x, arrange_block(config, block_params, dtype=x.dtype), block_cache)

    turn = jax.checkpoint(turn) if config.remat else turn
    x, filled = jax.lax.scan(turn, x, (params["layers"], cache), unroll=config.unroll)
    return _rms_norm(params["final_norm"]["scale"], x), filled


def run_arranged(
    config: GemmaConfig,
    params: Params,
    blocks: Sequence[BlockKernels],
    x: Array,
    *,
    positions: Array,
    mask: Array,
    cache: Sequence[KVCache],
    slot: Array | int,
) -> tuple[Array, tuple[KVCache, ...]]:
    """As `run_gemma` with a cache, on blocks that were arranged before (`arrange_blocks`) and a cache for each."""
    block = _make_block(config, positions, mask, shared=0, slot=slot)
    filled = []
    for kernels, block_cache in zip(blocks, cache, strict=True):
        x, block_filled = block(x, kernels, block_cache)
        filled.append(block_filled)
    return _rms_norm(params["final_norm"]["scale"], x), tuple(filled)


def _make_block(
    config: GemmaConfig, positions: Array, mask: Array, *, shared: int, slot: Array | int
) -> Callable[[Array, BlockKernels, KVCache | None], tuple[Array, KVCache]]:
    """(x [B, Q, W], kernels, the block's cache) -> x after one block, and the cache with x in it."""
    rotation = _rotation(positions, config.head_dim)
    shared = shared if config.attend_in_blocks else 0
    bias = jnp.where(mask[:, shared:], 0.0, _MASKED)
    shared_bias = jnp.where(mask[:, :1], 0.0, _MASKED) if shared else None

    def block(x: Array, kernels: BlockKernels, cache: KVCache | None) -> tuple[Array, KVCache]:
        normed = _rms_norm(kernels.attention_scale, x)
        mixed, cache = _attention(config, kernels.attention, normed, rotation, bias, cache, slot, shared_bias)
        x = x + mixed
        return x + _gated_mlp(config, kernels.mlp, _rms_norm(kernels.mlp_scale, x)), cache

    return block


def _attention(
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
    query = _rotate(query, rotation) * config.head_dim**-0.5
    key, value = _rotate(key, rotation).swapaxes(1, 2), value.swapaxes(1, 2)
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
    heads = _project(x, kernels.into_heads).reshape(*x.shape[:2], -1, config.head_dim)
    if kernels.into_adapter is not None:
        heads += lora.project_into_heads(x, *kernels.into_adapter) * config.lora_scale
    return heads


def _from_heads(config: GemmaConfig, kernels: AttentionKernels, x: Array) -> Array:
    """The output projection, [B, Q, W], of all heads x [B, Q, N * h]."""
    joined = _project(x, kernels.from_heads)
    if kernels.from_adapter is not None:
        joined += lora.project_from_heads(x, *kernels.from_adapter) * config.lora_scale
    return joined


def _mix_in_blocks(query: Array, keys: Array, values: Array, bias: Array) -> Array:
    """`_mix_heads` of each sample, [B, Q, K, n * h], one block of queries after the other; bias [B, 1, S] serves all.

    The blocks are even, and small enough for a CPU's cache; the backward pass recomputes a block's weights.
    """
    queries = query.shape[1]
    blocks = math.ceil(math.prod(query.shape[1:-1]) * keys.shape[2] / _BLOCK_LOGITS)
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


def _rotation(positions: Array, head_dim: int) -> tuple[Array, Array]:
    """Sine and cosine of RoPE (Su et al., 2021, eq. 34), float32 [B, Q, 1, h / 2]."""
    wavelengths = _MAX_WAVELENGTH ** (jnp.arange(head_dim // 2, dtype=jnp.float32) * (2.0 / head_dim))
    position = positions[..., None, None].astype(jnp.float32)
    # XLA would multiply by the wavelengths' reciprocals, which at position 800 is off by up to 6e-5 rad, and logits
    # by 2e-4; behind the barrier it divides, as it does in the release that openpi pins (jax 0.5.3).
    divisors = jax.lax.optimization_barrier(jnp.broadcast_to(wavelengths, (*position.shape[:-1], head_dim // 2)))
    radians = position / divisors
    return jnp.sin(radians), jnp.cos(radians)


def _rotate(x: Array, rotation: tuple[Array, Array]) -> Array:
    """x [B, Q, N, h] turned by RoPE in float32; dimension i pairs with i + h / 2."""
    sine, cosine = rotation
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1).astype(x.dtype)


def _rms_norm(scale: Array, x: Array) -> Array:
    """x / rms(x) * (1 + scale) over the last axis, in float32 (Zhang and Sennrich, 2019, with Gemma's 1 + scale)."""
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + _NORM_EPSILON)
    return (normed * (1.0 + scale)).astype(x.dtype)


def _gated_mlp(config: GemmaConfig, kernels: MlpKernels, x: Array) -> Array:
    """GeGLU (Shazeer, 2020): (gelu(x A) * x B) C."""
    both = _project(x, kernels.gate_up)
    if kernels.gate_up_adapter is not None:
        both += lora.project_into_heads(x, *kernels.gate_up_adapter).reshape(both.shape)
    gate, up = jnp.split(both, 2, axis=-1)
    hidden = jax.nn.gelu(gate, approximate=True) * up
    out = _project(hidden, kernels.down)
    if kernels.down_adapter is not None:
        out += lora.project(hidden, *kernels.down_adapter)
    return out


def _project(x: Array, kernel: Array) -> Array:
    """x [B, Q, W] times kernel [W, O]: as one product of two matrices, whose gradients need no transposed copies."""
    rows = x.reshape(-1, x.shape[-1])
    return (rows @ kernel).reshape(*x.shape[:-1], -1)
