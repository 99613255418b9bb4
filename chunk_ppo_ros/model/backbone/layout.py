"""Where every token of a sequence stands and what it may see: one rule for prefill, decoding and scoring.

Slots, the same for every row of a batch: [cameras x patches | prompt, padded on the right | causal tokens]. The causal
tokens are the forced "Action: " and the action tokens. Slots are storage; positions, which RoPE turns by, are counted
over valid text, as in openpi's training on packed text: a masked camera keeps its positions, prompt pads have none.
Shape letters: B batch, C cameras, P patches of one camera, L prompt slots, S slots in all.
"""

from __future__ import annotations

import flax.struct
import jax.numpy as jnp
from jaxtyping import Bool, Int

from chunk_ppo_ros.core_jax.arrays import Array


@flax.struct.dataclass
class Layout:
    """Positions and visibility of S slots.

    Attributes:
        positions: what RoPE turns by.
        mask: true where the slot of the second axis sees that of the third.
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

    Images and prompt see each other in both directions; a causal slot sees them, itself and the causal slots before.
    Causal slots after a row's last token need no mask: nothing valid sees them.

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
    order = jnp.maximum(index - context + 1, 0)  # 0 for images and prompt, 1, 2, .. for causal slots
    mask = valid[:, None, :] & (order[None, :] <= order[:, None])
    prompt_pads = prompt_mask.shape[1] - jnp.sum(prompt_mask, axis=1, dtype=jnp.int32)
    positions = jnp.where(index < context, index, index - prompt_pads[:, None])
    return Layout(positions=positions, mask=mask, valid=valid, context=context)
