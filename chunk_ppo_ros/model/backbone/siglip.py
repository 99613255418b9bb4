"""Runs the image tower, a SigLIP vision transformer without pooling, by plain functions over openpi's parameter tree.

Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023; the tower of PaliGemma (Beyer et al., 2024).
Blocks are stacked on the first axis of each leaf. Shape letters: B batch of images, P patches, W width, N heads, h head
width, I inputs and O outputs of a matrix.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float, Float32, Real

from chunk_ppo_ros.core_jax.arrays import Array, Key, Params
from chunk_ppo_ros.model.backbone.initialization import draw_weights
from chunk_ppo_ros.model.backbone.variants import SigLIPConfig

_NORM_EPSILON = 1e-6


def init_siglip(config: SigLIPConfig, *, image_size: int, patch_size: int, output_dim: int, key: Key) -> Params:
    """Returns fresh float32 parameters.

    Args:
        config: size of the tower.
        image_size: height and width of an image, pixels; a multiple of patch_size.
        patch_size: height and width of a patch, pixels.
        output_dim: width of the decoder that reads the image tokens.
        key: source of randomness.
    """
    edge_key, block_key = jax.random.split(key)
    num_patches, fan_in = (image_size // patch_size) ** 2, patch_size * patch_size * 3
    edges = draw_weights(
        {
            "patches": ((patch_size, patch_size, 3, config.width), fan_in),
            "positions": ((1, num_patches, config.width), config.width),
            "head": ((config.width, output_dim), config.width),
        },
        key=edge_key,
    )
    blocks = jax.vmap(functools.partial(_init_block, config))(jax.random.split(block_key, config.depth))
    return {
        "embedding": {"kernel": edges["patches"], "bias": jnp.zeros(config.width)},
        "pos_embedding": edges["positions"],
        "Transformer": {"encoderblock": blocks, "encoder_norm": _init_norm(config.width)},
        "head": {"kernel": edges["head"], "bias": jnp.zeros(output_dim)},
    }


def _init_norm(width: int) -> Params:
    return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}


def _init_block(config: SigLIPConfig, key: Key) -> Params:
    width, heads, head_dim = config.width, config.num_heads, config.head_dim
    projection = ((width, heads, head_dim), width)
    weights = draw_weights(
        {
            "query": projection,
            "key": projection,
            "value": projection,
            "out": ((heads, head_dim, width), width),
            "Dense_0": ((width, config.mlp_dim), width),
            "Dense_1": ((config.mlp_dim, width), config.mlp_dim),
        },
        key=key,
    )

    def with_bias(name: str, bias_shape: tuple[int, ...]) -> Params:
        return {"kernel": weights[name], "bias": jnp.zeros(bias_shape)}

    attention = {name: with_bias(name, (heads, head_dim)) for name in ("query", "key", "value")}
    return {
        "LayerNorm_0": _init_norm(width),
        "LayerNorm_1": _init_norm(width),
        "MultiHeadDotProductAttention_0": {**attention, "out": with_bias("out", (width,))},
        "MlpBlock_0": {"Dense_0": with_bias("Dense_0", (config.mlp_dim,)), "Dense_1": with_bias("Dense_1", (width,))},
    }


def apply_siglip(
    config: SigLIPConfig, params: Params, images: Real[Array, "B height width 3"], *, dtype: jnp.dtype
) -> Float[Array, "B P out"]:
    """Returns the image tokens of a batch of images, patches row by row from the top left, in `dtype`.

    Args:
        config: size of the tower.
        params: the tree of `init_siglip`, float32.
        images: RGB, 0 .. 255, of the size that the tower was made for. They are uint8 everywhere but in comparisons
            with other code.
        dtype: dtype of the blocks; patches and positions are embedded in float32.
    """
    x = embed_patches(params["embedding"], images) + params["pos_embedding"]
    block = jax.checkpoint(_block) if config.remat else _block
    x, _ = jax.lax.scan(block, x.astype(dtype), params["Transformer"]["encoderblock"], unroll=config.unroll)
    x = layer_norm(params["Transformer"]["encoder_norm"], x)
    return _dense(params["head"], x)


def embed_patches(params: Params, images: Real[Array, "B height width 3"]) -> Float32[Array, "B P W"]:
    """Returns embedded patches. It is a convolution whose stride is its window, computed as one product."""
    batch, height, width, _ = images.shape
    patch, _, channels, out = params["kernel"].shape
    rows, columns = height // patch, width // patch
    pixels = images.astype(jnp.float32) / 255.0 * 2.0 - 1.0
    patches = pixels.reshape(batch, rows, patch, columns, patch, channels).transpose(0, 1, 3, 2, 4, 5)
    flat = {"kernel": params["kernel"].reshape(-1, out), "bias": params["bias"]}
    return _dense(flat, patches.reshape(batch, rows * columns, patch * patch * channels))


def _block(x: Float[Array, "B P W"], params: Params) -> tuple[Float[Array, "B P W"], None]:
    """Returns x after one pre-norm block, and None, because `scan` expects a second value to collect."""
    x = x + _attention(params["MultiHeadDotProductAttention_0"], layer_norm(params["LayerNorm_0"], x))
    mlp = params["MlpBlock_0"]
    hidden = jax.nn.gelu(_dense(mlp["Dense_0"], layer_norm(params["LayerNorm_1"], x)), approximate=True)
    return x + _dense(mlp["Dense_1"], hidden), None


def _attention(params: Params, x: Float[Array, "B P W"]) -> Float[Array, "B P W"]:
    """Returns the self-attention of x, in which every patch sees every other."""
    heads, head_dim, width = params["out"]["kernel"].shape

    def project(name: str) -> Float[Array, "B P N h"]:
        flat = {"kernel": params[name]["kernel"].reshape(width, -1), "bias": params[name]["bias"].reshape(-1)}
        return _dense(flat, x).reshape(*x.shape[:2], heads, head_dim)

    logits = jnp.einsum("bpnh,bsnh->bnps", project("query") * head_dim**-0.5, project("key"))
    mixed = jnp.einsum("bnps,bsnh->bpnh", jax.nn.softmax(logits, axis=-1), project("value"))
    out = {"kernel": params["out"]["kernel"].reshape(-1, width), "bias": params["out"]["bias"]}
    return _dense(out, mixed.reshape(*x.shape[:2], heads * head_dim))


def layer_norm(params: Params, x: Float[Array, "*batch W"]) -> Float[Array, "*batch W"]:
    """Returns LayerNorm over the last axis, computed in float32."""
    wide = x.astype(jnp.float32)
    centered = wide - jnp.mean(wide, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=-1, keepdims=True)
    return (centered * jax.lax.rsqrt(variance + _NORM_EPSILON) * params["scale"] + params["bias"]).astype(x.dtype)


def _dense(params: Params, x: Float[Array, "B P I"]) -> Float[Array, "B P O"]:
    """Returns x times a kernel, plus a bias.

    It is one product of two matrices, because its gradients need no transposed copies.
    """
    rows = x.reshape(-1, x.shape[-1]) @ params["kernel"].astype(x.dtype) + params["bias"].astype(x.dtype)
    return rows.reshape(*x.shape[:-1], -1)
