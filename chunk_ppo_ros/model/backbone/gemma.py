"""Runs the decoder, Gemma, by plain functions over openpi's parameter tree, with adapters where the tree has them.

Source: Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024. Blocks are stacked on the first
axis of each leaf. Training and prefill use `run_gemma`, and the sampling loop uses `run_arranged`. Positions and masks
come from `layout.py`.
Shape letters: B batch, Q query slots, S key slots, W width, N query heads, K key/value heads, h head width, D depth,
V vocabulary.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import flax.traverse_util
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from chunk_ppo_ros.core_jax.arrays import AnyArray, Array, Key, Params, Scalar
from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.backbone.gemma_attention import MASKED, KVCache, attend, make_rotation
from chunk_ppo_ros.model.backbone.gemma_kernels import BlockKernels, MlpKernels, arrange_block, project
from chunk_ppo_ros.model.backbone.initialization import Spec, draw_weights
from chunk_ppo_ros.model.backbone.variants import GemmaConfig

_NORM_EPSILON = 1e-6


def init_gemma(config: GemmaConfig, *, vocab_size: int, key: Key) -> Params:
    """Returns fresh float32 parameters.

    Embedding rows have norm 1 on average, so that text and logits start at unit variance.
    """
    embedding_key, block_key = jax.random.split(key)
    blocks = jax.vmap(functools.partial(_init_block, config))(jax.random.split(block_key, config.depth))
    embedding = draw_weights({"embedding": ((vocab_size, config.width), config.width)}, key=embedding_key)
    return {
        "embedder": {"input_embedding": embedding["embedding"]},
        "layers": blocks,
        "final_norm": {"scale": jnp.zeros(config.width)},
    }


def _init_block(config: GemmaConfig, key: Key) -> Params:
    matrices = _matrices(config)
    drawn, zero = lora.factor_specs(matrices, config.lora_rank) if config.lora_rank else ({}, {})
    leaves = {
        **draw_weights(matrices, key=key),
        # Adapters are drawn by themselves, because the other weights may come from a checkpoint without adapters.
        **draw_weights(drawn, key=jax.random.fold_in(key, 1)),
        **{name: jnp.zeros(shape) for name, shape in zero.items()},
        "pre_attention_norm/scale": jnp.zeros(config.width),
        "pre_ffw_norm/scale": jnp.zeros(config.width),
    }
    return flax.traverse_util.unflatten_dict(leaves, sep="/")


def _matrices(config: GemmaConfig) -> Spec:
    """Returns the shape and fan-in of a block's matrices by name.

    Where there are as many key/value heads as query heads, one leaf holds the matrices of queries, keys and values.
    """
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


def embed_tokens(params: Params, tokens: Int[AnyArray, "*batch"], *, dtype: jnp.dtype) -> Float[Array, "*batch W"]:
    """Returns the tokens' rows of the embedding, multiplied by sqrt(W), in `dtype`."""
    table = params["embedder"]["input_embedding"]
    return (table[tokens] * table.shape[-1] ** 0.5).astype(dtype)


def run_gemma(
    config: GemmaConfig,
    params: Params,
    x: Float[Array, "B Q W"],
    *,
    positions: Int[Array, "B Q"],
    mask: Bool[Array, "B Q S"],
    shared: int = 0,
    cache: KVCache | None = None,
    slot: Scalar = 0,
) -> tuple[Float[Array, "B Q W"], KVCache]:
    """Runs all blocks and the final norm.

    Args:
        config: size of the decoder.
        params: the tree of `init_gemma`, float32.
        x: embeddings, in the dtype of the computation.
        positions: the position of each query, by which RoPE turns it.
        mask: true where the query sees the key. Without a cache the keys are those of x, and S = Q.
        shared: number of queries at the beginning that all see the same keys. `attend_in_blocks` reads one row of the
            mask for them, which halves the time of a gradient over images.
        cache: keys and values of S slots, into which those of x are written; None where there is no cache.
        slot: first slot of x in the cache.

    Returns:
        Hidden states after the final norm, and the cache with x in it.
    """
    block = _make_block(config, positions, mask, shared=shared, slot=slot)

    def turn(x: Float[Array, "B Q W"], layer: tuple[Params, KVCache | None]) -> tuple[Float[Array, "B Q W"], KVCache]:
        block_params, block_cache = layer
        return block(x, arrange_block(config, block_params, dtype=x.dtype), block_cache)

    turn = jax.checkpoint(turn) if config.remat else turn
    x, filled = jax.lax.scan(turn, x, (params["layers"], cache), unroll=config.unroll)
    return rms_norm(params["final_norm"]["scale"], x), filled


def run_arranged(
    config: GemmaConfig,
    params: Params,
    blocks: Sequence[BlockKernels],
    x: Float[Array, "B Q W"],
    *,
    positions: Int[Array, "B Q"],
    mask: Bool[Array, "B Q S"],
    cache: Sequence[KVCache],
    slot: Scalar,
) -> tuple[Float[Array, "B Q W"], tuple[KVCache, ...]]:
    """Runs all blocks and the final norm on a cache, as `run_gemma` does, with blocks that `arrange_blocks` made.

    Args:
        config: size of the decoder.
        params: the tree of `init_gemma`, float32.
        blocks: kernels of each block.
        x: embeddings, in the dtype of the computation.
        positions: the position of each query, by which RoPE turns it.
        mask: true where the query sees the key.
        cache: keys and values of S slots of each block, into which those of x are written.
        slot: first slot of x in the cache.

    Returns:
        Hidden states after the final norm, and each block's cache with x in it.
    """
    block = _make_block(config, positions, mask, shared=0, slot=slot)
    filled = []
    for kernels, block_cache in zip(blocks, cache, strict=True):
        x, block_filled = block(x, kernels, block_cache)
        filled.append(block_filled)
    return rms_norm(params["final_norm"]["scale"], x), tuple(filled)


def _make_block(
    config: GemmaConfig, positions: Int[Array, "B Q"], mask: Bool[Array, "B Q S"], *, shared: int, slot: Scalar
) -> Callable[[Array, BlockKernels, KVCache | None], tuple[Array, KVCache]]:
    """Returns a function that runs one block.

    It takes x [B, Q, W], the block's kernels and the block's cache. It returns x after the block, and the cache with
    the keys and values of x in it.
    """
    rotation = make_rotation(positions, config.head_dim)
    shared = shared if config.attend_in_blocks else 0
    bias = jnp.where(mask[:, shared:], 0.0, MASKED)
    shared_bias = jnp.where(mask[:, :1], 0.0, MASKED) if shared else None

    def block(
        x: Float[Array, "B Q W"], kernels: BlockKernels, cache: KVCache | None
    ) -> tuple[Float[Array, "B Q W"], KVCache]:
        normed = rms_norm(kernels.attention_scale, x)
        mixed, cache = attend(config, kernels.attention, normed, rotation, bias, cache, slot, shared_bias)
        x = x + mixed
        return x + gated_mlp(config, kernels.mlp, rms_norm(kernels.mlp_scale, x)), cache

    return block


def rms_norm(scale: Float[AnyArray, "W"], x: Float[Array, "*batch W"]) -> Float[Array, "*batch W"]:
    """Returns x / rms(x) * (1 + scale), computed in float32 (Zhang and Sennrich, 2019, with Gemma's 1 + scale)."""
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + _NORM_EPSILON)
    return (normed * (1.0 + scale)).astype(x.dtype)


def gated_mlp(config: GemmaConfig, kernels: MlpKernels, x: Float[Array, "B Q W"]) -> Float[Array, "B Q W"]:
    """Returns GeGLU (Shazeer, 2020), which is (gelu(x A) * x B) C with the gate A and the matrices B and C."""
    both = project(x, kernels.gate_up)
    if kernels.gate_up_adapter is not None:
        both += lora.project_into_heads(x, *kernels.gate_up_adapter).reshape(both.shape)
    gate, up = jnp.split(both, 2, axis=-1)
    hidden = jax.nn.gelu(gate, approximate=True) * up
    out = project(hidden, kernels.down)
    if kernels.down_adapter is not None:
        out += lora.project(hidden, *kernels.down_adapter)
    return out
