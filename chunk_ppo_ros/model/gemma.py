"""The decoder: Gemma with one key/value head, as plain functions over openpi's parameter tree.

Source: Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024. Blocks are stacked on the first
axis of each leaf. Training, prefill and decoding go through `run_gemma`; positions and masks come from `layout.py`.
Shape letters: B batch, Q query slots, K key slots, W width, N heads, h head width, D depth, V vocabulary.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model.initialization import draw_weights
from chunk_ppo_ros.model.variants import GemmaConfig

Params = dict[str, Any]

_NORM_EPSILON = 1e-6
_MAX_WAVELENGTH = 10_000.0
_MASKED = -2.3819763e38  # added to the attention logit of a hidden key; openpi's value, finite so that no row is NaN


@flax.struct.dataclass
class KVCache:
    """Keys (after RoPE) and values of every block, in the dtype of the computation.

    Attributes:
        keys: [D, B, K, h].
        values: [D, B, K, h].
    """

    keys: Array
    values: Array

    def padded(self, slots: int) -> KVCache:
        """This cache with `slots` more key slots, zero, at the end."""
        widths = ((0, 0), (0, 0), (0, slots), (0, 0))
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
    width, heads, head_dim = config.width, config.num_heads, config.head_dim
    weights = draw_weights(
        {
            "query": ((heads, width, head_dim), width),
            "key_value": ((2, 1, width, head_dim), width),
            "out": ((heads, head_dim, width), heads * head_dim),
            "gating": ((2, width, config.mlp_dim), width),
            "linear": ((config.mlp_dim, width), config.mlp_dim),
        },
        key=key,
    )
    return {
        "pre_attention_norm": {"scale": jnp.zeros(width)},
        "attn": {
            "q_einsum": {"w": weights["query"]},
            "kv_einsum": {"w": weights["key_value"]},
            "attn_vec_einsum": {"w": weights["out"]},
        },
        "pre_ffw_norm": {"scale": jnp.zeros(width)},
        "mlp": {"gating_einsum": weights["gating"], "linear": weights["linear"]},
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
    cache: KVCache | None = None,
    slot: Array | int = 0,
) -> tuple[Array, KVCache]:
    """Runs all blocks and the final norm.

    Args:
        config: size of the decoder.
        params: the tree of `init_gemma`, float32.
        x: embeddings [B, Q, W], in the dtype of the computation.
        positions: int32 [B, Q], for RoPE.
        mask: bool [B, Q, K], true where the query sees the key. Without a cache the keys are the queries' own, K = Q.
        cache: keys and values of K slots, into which those of x are written.
        slot: first slot of x in the cache.

    Returns:
        Hidden states [B, Q, W] after the final norm, and the cache with x in it.
    """
    rotation = _rotation(positions, config.head_dim)
    bias = jnp.where(mask, 0.0, _MASKED)

    def block(x: Array, layer: tuple[Params, KVCache | None]) -> tuple[Array, KVCache]:
        block_params, block_cache = layer
        normed = _rms_norm(block_params["pre_attention_norm"], x)
        mixed, block_cache = _attention(config, block_params["attn"], normed, rotation, bias, block_cache, slot)
        x = x + mixed
        return x + _gated_mlp(block_params["mlp"], _rms_norm(block_params["pre_ffw_norm"], x)), block_cache

    x, filled = jax.lax.scan(
        jax.checkpoint(block) if config.remat else block, x, (params["layers"], cache), unroll=config.unroll
    )
    return _rms_norm(params["final_norm"], x), filled


def _attention(
    config: GemmaConfig,
    params: Params,
    x: Array,
    rotation: tuple[Array, Array],
    bias: Array,
    cache: KVCache | None,
    slot: Array | int,
) -> tuple[Array, KVCache]:
    """Attention of x [B, Q, W] with bias [B, Q, K] on the logits, and the cache with x in it."""
    heads, head_dim, width = config.num_heads, config.head_dim, config.width
    batch, queries, _ = x.shape
    query = _project(x, params["q_einsum"]["w"].transpose(1, 0, 2).reshape(width, heads * head_dim))
    query = _rotate(query.reshape(batch, queries, heads, head_dim), rotation) * head_dim**-0.5
    key, value = (_project(x, kernel)[:, :, None] for kernel in params["kv_einsum"]["w"][:, 0])
    cache = _write(cache, KVCache(keys=_rotate(key, rotation)[:, :, 0], values=value[:, :, 0]), slot)
    if config.attend_by_sample and queries > 1:
        mixed = jax.lax.map(lambda sample: jax.checkpoint(_mix)(*sample), (query, cache.keys, cache.values, bias))
    else:
        mixed = jax.vmap(_mix)(query, cache.keys, cache.values, bias)
    return _project(mixed, params["attn_vec_einsum"]["w"].reshape(heads * head_dim, width)), cache


def _mix(query: Array, keys: Array, values: Array, bias: Array) -> Array:
    """softmax(query keys^T + bias) values of one sample [Q, N * h]; all heads of all queries are rows of one product.

    Args:
        query: [Q, N, h], scaled.
        keys: [K, h].
        values: [K, h].
        bias: float32 [Q, K].
    """
    queries, heads, head_dim = query.shape
    logits = jnp.einsum("rh,kh->rk", query.reshape(-1, head_dim), keys, preferred_element_type=jnp.float32)
    logits = logits.reshape(queries, heads, -1) + bias[:, None]
    weights = jax.nn.softmax(logits, axis=-1).astype(values.dtype).reshape(queries * heads, -1)
    return (weights @ values).reshape(queries, heads * head_dim)


def _write(cache: KVCache | None, new: KVCache, slot: Array | int) -> KVCache:
    """`cache` [B, K, h] with `new` [B, Q, h] from `slot` on, or `new` alone where there is no cache."""
    if cache is None:
        return new
    return jax.tree.map(lambda old, fresh: jax.lax.dynamic_update_slice_in_dim(old, fresh, slot, axis=1), cache, new)


def _rotation(positions: Array, head_dim: int) -> tuple[Array, Array]:
    """Sine and cosine of RoPE (Su et al., 2021, eq. 34), float32 [B, Q, 1, h / 2]."""
    wavelengths = _MAX_WAVELENGTH ** (jnp.arange(head_dim // 2, dtype=jnp.float32) * (2.0 / head_dim))
    radians = positions[..., None, None].astype(jnp.float32) / wavelengths
    return jnp.sin(radians), jnp.cos(radians)


def _rotate(x: Array, rotation: tuple[Array, Array]) -> Array:
    """x [B, Q, N, h] turned by RoPE in float32; dimension i pairs with i + h / 2."""
    sine, cosine = rotation
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1).astype(x.dtype)


def _rms_norm(params: Params, x: Array) -> Array:
    """x / rms(x) * (1 + scale) over the last axis, in float32 (Zhang and Sennrich, 2019, with Gemma's 1 + scale)."""
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + _NORM_EPSILON)
    return (normed * (1.0 + params["scale"])).astype(x.dtype)


def _gated_mlp(params: Params, x: Array) -> Array:
    """GeGLU (Shazeer, 2020): (gelu(x A) * x B) C."""
    gate, up = (_project(x, kernel) for kernel in params["gating_einsum"])
    return _project(jax.nn.gelu(gate, approximate=True) * up, params["linear"])


def _project(x: Array, kernel: Array) -> Array:
    """x [B, Q, W] times kernel [W, O]: as one product of two matrices, whose gradients need no transposed copies."""
    rows = x.reshape(-1, x.shape[-1])
    return (rows @ kernel.astype(x.dtype)).reshape(*x.shape[:-1], -1)
