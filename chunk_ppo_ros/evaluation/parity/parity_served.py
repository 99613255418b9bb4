"""Runs the model with the token positions of openpi's sampler, for comparisons only. The policy has its own positions.

openpi's sampler counts positions over valid tokens only, so that a masked camera shifts the positions after it. The
token that is generated at step j has the position (valid tokens + j + 1), which is one more than in training. The
sampler moves each row's tokens to the right end. A generated token then sees as many slots as there are valid tokens,
which is wrong for a masked camera between others. This module does all of this in the same way.
Shape letters: B batch, S prefix slots, T generated tokens, W width.
"""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model.backbone import gemma
from chunk_ppo_ros.model.backbone.gemma_attention import KVCache
from chunk_ppo_ros.model.backbone.pi0_fast import Params, Pi0FAST

SERVED_SHIFT, CONTIGUOUS_SHIFT = 1, 0
"""The numbers that are added to the positions of generated tokens: 1 by openpi's sampler, 0 in openpi's training."""


@flax.struct.dataclass
class Prefill:
    """The result of a forward pass over the prefix.

    Attributes:
        hidden: [B, W], hidden state that predicts the first generated token.
        cache: keys and values of S + T slots.
        length: int32 [B], number of valid tokens of the prefix.
    """

    hidden: Array
    cache: KVCache
    length: Array


def generated_states(
    backbone: Pi0FAST, params: Params, prefix: Array, valid: Array, tokens: Array, *, shift: Array | int
) -> Array:
    """Returns the hidden states [B, T, W] from which openpi's sampler would draw each of the given tokens.

    Args:
        backbone: network.
        params: parameters of the network.
        prefix: embeddings [B, S, W] of images and prompt.
        valid: bool [B, S], false for masked cameras and pads.
        tokens: int32 [B, T], generated tokens.
        shift: SERVED_SHIFT or CONTIGUOUS_SHIFT.
    """
    slots = prefix.shape[1]
    start = _prefill(backbone, params, prefix, valid, steps=tokens.shape[1])
    index = jnp.arange(slots + tokens.shape[1])

    def step(carry: tuple[Array, KVCache], item: tuple[Array, Array]) -> tuple[tuple[Array, KVCache], Array]:
        (hidden, cache), (number, generated) = carry, item
        seen = (index >= slots - start.length[:, None]) & (index <= slots + number)
        following, cache = gemma.run_gemma(
            backbone.variant.gemma,
            params["PaliGemma"]["llm"],
            backbone.embed_tokens(params, generated)[:, None],
            positions=start.length[:, None] + number + shift,
            mask=seen[:, None],
            cache=cache,
            slot=slots + number,
        )
        return (following[:, 0], cache), hidden

    items = (jnp.arange(tokens.shape[1]), tokens.T)
    _, states = jax.lax.scan(step, (start.hidden, start.cache), items)
    return states.swapaxes(0, 1)


def _prefill(backbone: Pi0FAST, params: Params, prefix: Array, valid: Array, *, steps: int) -> Prefill:
    """Runs the network on a prefix, after each row is rolled so that its last valid slot is the last slot."""
    batch, slots, _ = prefix.shape
    end = slots - jnp.argmax(valid[:, ::-1], axis=1)
    source = (jnp.arange(slots) + end[:, None]) % slots
    x, valid = jnp.take_along_axis(prefix, source[..., None], axis=1), jnp.take_along_axis(valid, source, axis=1)
    config = backbone.variant.gemma
    empty = jnp.zeros((config.depth, batch, config.num_kv_heads, slots + steps, config.head_dim), prefix.dtype)
    hidden, cache = gemma.run_gemma(
        config,
        params["PaliGemma"]["llm"],
        x,
        positions=jnp.cumsum(valid, axis=1) - 1,
        mask=jnp.pad(valid[:, :, None] & valid[:, None, :], ((0, 0), (0, 0), (0, steps))),
        cache=KVCache(keys=empty, values=empty),
    )
    return Prefill(hidden=hidden[:, -1], cache=cache, length=jnp.sum(valid, axis=1))
