"""Decides which of the actor's parameters are trained. Only this module reads `ppo.freeze_*`.

`rl/partition.py` divides the parameters of a training step by this decision, and a checkpoint keeps it
(`checkpoints/metadata.py`).
"""

from __future__ import annotations

import dataclasses

import jax
from jaxtyping import PyTree

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core_jax.arrays import ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.backbone.lora import is_adapter

IMAGE_TOWER = "PaliGemma/img/"


@dataclasses.dataclass(frozen=True)
class FrozenTowers:
    """The towers that are not trained. The fields have the names of those of `PPOConfig`.

    Attributes:
        freeze_image_tower: whether the image tower stays as it is.
        freeze_text_tower: whether the decoder with its adapters stays as it is.
    """

    freeze_image_tower: bool = False
    freeze_text_tower: bool = False

    @classmethod
    def of(cls, ppo: PPOConfig) -> FrozenTowers:
        """Returns which towers a configuration does not train."""
        return cls(freeze_image_tower=ppo.freeze_image_tower, freeze_text_tower=ppo.freeze_text_tower)

    @property
    def keeps_image_embeddings(self) -> bool:
        """Whether training leaves the embeddings of images as they are, so that they can be computed once."""
        return self.freeze_image_tower

    def trained_leaves(self, actor: ShapeTree) -> PyTree[bool]:
        """Returns a bool for each leaf of the actor, true where it is trained.

        Of a decoder with low-rank adapters (Hu et al., "LoRA", 2021), training changes only the adapters. All its other
        parameters, the token embedding included, keep their values. The image tower has no adapters and is trained as a
        whole or not at all.

        Args:
            actor: the tree {"PaliGemma": {"img": ..., "llm": ...}} of arrays or shapes.
        """
        names = list(name_leaves(actor))
        adapters_only = any(is_adapter(name) for name in names)

        def is_trained(name: str) -> bool:
            if name.startswith(IMAGE_TOWER):
                return not self.freeze_image_tower
            return not self.freeze_text_tower and (is_adapter(name) or not adapters_only)

        return jax.tree.unflatten(jax.tree.structure(actor), [is_trained(name) for name in names])
