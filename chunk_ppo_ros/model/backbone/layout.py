"""Decides where every token of a sequence stands and what it may see, by one rule for prefill, decoding and scoring.

Every row of a batch has the same slots: [cameras x patches | prompt, padded on the right | causal tokens]. The causal
tokens are the forced "Action: " and the action tokens. A slot is a place in an array. A position is the number by which
RoPE turns a token. Positions are counted over valid text, as in openpi's training on packed text. The slots of a masked
camera have positions, and the pads of the prompt have none.
Shape letters: B batch, C cameras, P patches of one camera, L prompt slots, S slots in all.
"""

from __future__ import annotations

import flax.struct
import jax.numpy as jnp
from jaxtyping import Bool, Int

from chunk_ppo_ros.core_jax.arrays import Array


@flax.struct.dataclass
class Layout:
    """The positions of S slots, and which slots see each other.

    Attributes:
        positions: the number by which RoPE turns each slot.
        mask: true where the slot of the second axis sees the slot of the third axis.
        valid: false for masked cameras and prompt pads, which no slot sees.
        context: number of slots of images and prompt, which come first; they all see the same slots.
    """

    positions: Int[Array, "B S"]
    mask: Bool[Array, "B S S"]
    valid: Bool[Array, "B S"]
    context: int = flax.struct.field(pytree_node=False)


def make_layout(
    image_mask: Bool[Array, "B C"], prompt_mask: Bool[Array, "B L"], *, patches: int, causal_slots: int
) -> Layout:
    """Returns the layout of a batch.

    Images and prompt see each other in both directions. A causal slot sees them, itself and the causal slots before.
    Causal slots after a row's last token need no mask, because no valid slot sees them.

    Args:
        image_mask: false where a camera is missing.
        prompt_mask: true for valid prompt tokens, which are contiguous from slot 0.
        patches: number of image tokens of one camera, P.
        causal_slots: number of slots after the prompt.

    Returns:
        The layout of S = C * P + L + causal_slots slots.
    """
    batch, cameras = image_mask.shape
    context = cameras * patches + prompt_mask.shape[1]
    valid = jnp.concatenate(
        [jnp.repeat(image_mask, patches, axis=1), prompt_mask, jnp.ones((batch, causal_slots), bool)], axis=1
    )
    index = jnp.arange(context + causal_slots)
    order = jnp.maximum(index - context + 1, 0)  # It is 0 for images and prompt, and 1, 2, .. for causal slots.
    mask = valid[:, None, :] & (order[None, :] <= order[:, None])
    prompt_pads = prompt_mask.shape[1] - jnp.sum(prompt_mask, axis=1, dtype=jnp.int32)
    positions = jnp.where(index < context, index, index - prompt_pads[:, None])
    return Layout(positions=positions, mask=mask, valid=valid, context=context)
