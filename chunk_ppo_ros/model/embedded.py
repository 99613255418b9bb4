"""Holds observations whose images went through the image tower already, to score them under many parameters."""

from __future__ import annotations

import flax.struct
from jaxtyping import Bool, Float, Int

from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.core_jax.arrays import Array


@flax.struct.dataclass
class EmbeddedObservation:
    """A `ModelObservation` with image tokens in the place of images; valid while the image tower does not change.

    Attributes:
        image_tokens: the image tower's output for the images, in the dtype of the computation; I is C * P.
        image_mask: false where a camera is missing.
        prompt_tokens: the prompt with the discretized state, padded with 0 on the right.
        prompt_mask: true for valid prompt tokens.
        state: joint angles in rad, grippers normalized, before normalization by the policy's statistics.
    """

    image_tokens: Float[Array, "*batch I W"]
    image_mask: Bool[Array, "*batch C"]
    prompt_tokens: Int[Array, "*batch L"]
    prompt_mask: Bool[Array, "*batch L"]
    state: Float[Array, "*batch S"]


AnyObservation = ModelObservation | EmbeddedObservation
