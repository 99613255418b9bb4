"""Adds low-rank adapters to the decoder's matrices, in openpi's parameter tree.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. A matrix with an adapter computes
W x + (alpha / r) B A x. B is zero at first, so that a fresh adapter changes nothing. This differs from openpi, where
both factors start at random. Two things are as in openpi:
 - In the attention, the scale is alpha / r. In the feed-forward, the scale is 1, whatever alpha is.
 - The adapter of the output projection is one pair for all heads. Its A are read side by side, and its B are summed
   over heads.
The factors of a matrix "w" are the leaves "lora_a" and "lora_b" beside it. A matrix of the feed-forward has another
name, and its factors are "<matrix>_lora_a" and "<matrix>_lora_b". Here r is the rank, and a factor has the leading axes
of its matrix.
"""

from __future__ import annotations

import re

import flax.traverse_util
import jax.numpy as jnp
from jaxtyping import Float, Float32

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import Array, Params
from chunk_ppo_ros.model.backbone.initialization import Spec
from chunk_ppo_ros.model.backbone.variants import resolve_variant

_FACTOR = re.compile(r"(^|[/_])lora_[ab]$")
_HEADS_JOINED = "attn_vec_einsum"  # The name of the matrix [.., N, h, W] that sums over heads.


def is_adapter(name: str) -> bool:
    """Returns whether the name of a leaf, which is its path joined by "/", is the name of an adapter's factor."""
    return _FACTOR.search(name) is not None


def factor_names(matrix: str) -> tuple[str, str]:
    """Returns the names of the factors A and B of a matrix. All names are paths joined by "/"."""
    stem = matrix.removesuffix("w") if matrix.endswith("/w") else f"{matrix}_"
    return f"{stem}lora_a", f"{stem}lora_b"


def factor_specs(matrices: Spec, rank: int) -> tuple[Spec, dict[str, tuple[int, ...]]]:
    """Returns the shape and fan-in of the factors A of matrices [.., I, O], and the shape of their factors B, by name.

    The factors A are drawn at random. The factors B start at zero.
    """
    drawn, shapes = {}, {}
    for name, (shape, fan_in) in matrices.items():
        a, b = factor_names(name)
        drawn[a] = (*shape[:-1], rank), fan_in
        shapes[b] = (*shape[:-2], rank, shape[-1])
    return drawn, shapes


def project(x: Float[Array, "*batch I"], a: Float[Array, "I r"], b: Float[Array, "r O"]) -> Float[Array, "*batch O"]:
    """Returns x A B, in the dtype of x."""
    return (x @ a.astype(x.dtype)) @ b.astype(x.dtype)


def project_into_heads(
    x: Float[Array, "*batch W"], a: Float[Array, "N W r"], b: Float[Array, "N r h"]
) -> Float[Array, "*batch N h"]:
    """Returns x A_n B_n of each head n, in the dtype of x."""
    reduced = jnp.einsum("...w,nwr->...nr", x, a.astype(x.dtype))
    return jnp.einsum("...nr,nrh->...nh", reduced, b.astype(x.dtype))


def project_from_heads(
    x: Float[Array, "*batch heads"], a: Float[Array, "N h r"], b: Float[Array, "N r W"]
) -> Float[Array, "*batch W"]:
    """Returns the output of the output projection's adapter for x, which has all heads side by side, N * h numbers."""
    return project(x, a.reshape(-1, a.shape[-1]), jnp.sum(b, axis=0))


def merge_adapters(actor_backbone: Params, config: Pi0FASTActorCriticConfig) -> Params:
    """Returns the same policy without adapters. Each matrix has its scaled product A B added, in float32.

    Args:
        actor_backbone: the tree {"PaliGemma": ...}; one without adapters is returned as it is.
        config: the policy's configuration, whose variant decides the scale.

    Returns:
        The parameter tree of the variant without adapters.
    """
    leaves = flax.traverse_util.flatten_dict(actor_backbone, sep="/")
    scale = resolve_variant(config).gemma.lora_scale
    plain = {name: leaf for name, leaf in leaves.items() if not is_adapter(name)}
    for name, leaf in plain.items():
        a, b = (leaves.get(factor) for factor in factor_names(name))
        if a is not None and b is not None:
            plain[name] = leaf + _change(name, jnp.asarray(a), jnp.asarray(b), scale)
    return flax.traverse_util.unflatten_dict(plain, sep="/")


def _change(
    name: str, a: Float[Array, "... I r"], b: Float[Array, "... r O"], scale: float
) -> Float32[Array, "... I O"]:
    """Returns the matrix that an adapter adds to the matrix of that name."""
    if _HEADS_JOINED in name:
        b = jnp.sum(b, axis=-3, keepdims=True)
    product = jnp.matmul(a.astype(jnp.float32), b.astype(jnp.float32))
    return product * (scale if "/attn/" in name else 1.0)
