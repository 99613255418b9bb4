"""Observations whose images went through the image tower already: for scoring the same ones under many parameters."""

from __future__ import annotations

import flax.struct
from jax import Array

from chunk_ppo_ros.core.types import ModelObservation


@flax.struct.dataclass
class EmbeddedObservation:
    """A `ModelObservation` with image tokens in the place of images; valid while the image tower stands still.

    Attributes:
        image_tokens: [B, C * P, W], what the image tower makes of the images, in the dtype of the computation.
        image_mask: bool [B, C].
        prompt_tokens: int32 [B, L].
        prompt_mask: bool [B, L].
        state: float32 [B, S].
    """

    image_tokens: Array
    image_mask: Array
    prompt_tokens: Array
    prompt_mask: Array
    state: Array


AnyObservation = ModelObservation | EmbeddedObservation
