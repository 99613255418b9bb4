"""Arranges the parameters of a decoder block for its products: matrices side by side, in the dtype of the computation.

Training and prefill arrange a block where they run it. Decoding arranges all blocks once, before its loop over tokens.
XLA would otherwise copy every matrix out of the stacked leaves for every token, which takes as long as the products.
Shape letters: W width, N query heads, K key/value heads, h head width, M hidden width of the MLP, r rank of adapters.
"""

from __future__ import annotations

from typing import TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float

from chunk_ppo_ros.core_jax.arrays import Array, Params
from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.backbone.variants import GemmaConfig

Adapter: TypeAlias = tuple[Float[Array, "... r"], Float[Array, "... r _"]] | None
"""The factors A [.., I, r] and B [.., r, O] of the adapter of a matrix [.., I, O]; None where it has no adapter."""


@flax.struct.dataclass
class AttentionKernels:
    """Matrices of a block's attention.

    Attributes:
        into_heads: matrices of all queries, then of all keys, then of all values; I is (N + 2 K) h.
        from_heads: the output projection; O is N h.
        into_adapter: factors A [N + 2 K, W, r] and B [N + 2 K, r, h], or None.
        from_adapter: factors A [N, h, r] and B [N, r, W], or None.
    """

    into_heads: Float[Array, "W I"]
    from_heads: Float[Array, "O W"]
    into_adapter: Adapter
    from_adapter: Adapter


@flax.struct.dataclass
class MlpKernels:
    """Matrices of a block's gated MLP.

    Attributes:
        gate_up: matrix of the gate, then matrix of the numbers that the gate multiplies; M2 is 2 M.
        down: the matrix from the hidden layer back to W numbers.
        gate_up_adapter: factors A [2, W, r] and B [2, r, M], or None.
        down_adapter: factors A [M, r] and B [r, W], or None.
    """

    gate_up: Float[Array, "W M2"]
    down: Float[Array, "M W"]
    gate_up_adapter: Adapter
    down_adapter: Adapter


@flax.struct.dataclass
class BlockKernels:
    """All kernels of one block. The scales of its norms are float32."""

    attention_scale: Float[Array, "W"]
    attention: AttentionKernels
    mlp_scale: Float[Array, "W"]
    mlp: MlpKernels


def arrange_block(config: GemmaConfig, params: Params, *, dtype: jnp.dtype) -> BlockKernels:
    """Returns the kernels of one block of openpi's tree, in `dtype`."""
    return BlockKernels(
        attention_scale=params["pre_attention_norm"]["scale"],
        attention=arrange_attention(config, params["attn"], dtype=dtype),
        mlp_scale=params["pre_ffw_norm"]["scale"],
        mlp=arrange_mlp(config, params["mlp"], dtype=dtype),
    )


def arrange_blocks(config: GemmaConfig, layers: Params, *, dtype: jnp.dtype) -> tuple[BlockKernels, ...]:
    """Returns the kernels of all blocks, whose leaves are stacked on the first axis, in `dtype`."""
    blocks = [jax.tree.map(lambda leaf, block=block: leaf[block], layers) for block in range(config.depth)]
    return tuple(arrange_block(config, block, dtype=dtype) for block in blocks)


def arrange_attention(config: GemmaConfig, params: Params, *, dtype: jnp.dtype) -> AttentionKernels:
    """Returns the kernels of a block's attention.

    Where there are as many key/value heads as query heads, one leaf of openpi's tree holds the matrices of all three.
    """
    together = [params["qkv_einsum"]] if "qkv_einsum" in params else [params["q_einsum"], params["kv_einsum"]]
    by_head = [jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[-2:]), leaves) for leaves in together]
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves).astype(dtype), *by_head)
    out = jax.tree.map(lambda leaf: leaf.astype(dtype), params["attn_vec_einsum"])
    return AttentionKernels(
        into_heads=joined["w"].transpose(1, 0, 2).reshape(config.width, -1),
        from_heads=out["w"].reshape(-1, config.width),
        into_adapter=(joined["lora_a"], joined["lora_b"]) if config.lora_rank else None,
        from_adapter=(out["lora_a"], out["lora_b"]) if config.lora_rank else None,
    )


def arrange_mlp(config: GemmaConfig, params: Params, *, dtype: jnp.dtype) -> MlpKernels:
    """Returns the kernels of a block's gated MLP."""
    cast = {name: leaf.astype(dtype) for name, leaf in params.items()}

    def adapter(name: str) -> Adapter:
        if not config.lora_rank:
            return None
        a, b = lora.factor_names(name)
        return cast[a], cast[b]

    return MlpKernels(
        gate_up=jnp.concatenate([cast["gating_einsum"][0], cast["gating_einsum"][1]], axis=-1),
        down=cast["linear"],
        gate_up_adapter=adapter("gating_einsum"),
        down_adapter=adapter("linear"),
    )


def project(x: Float[Array, "B Q I"], kernel: Float[Array, "I O"]) -> Float[Array, "B Q O"]:
    """Returns x times the kernel, as one product of two matrices, because its gradients need no transposed copies."""
    rows = x.reshape(-1, x.shape[-1])
    return (rows @ kernel).reshape(*x.shape[:-1], -1)
