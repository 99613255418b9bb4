"""Decides which of the actor's parameters are trained. Where the decoder has adapters, they alone are trained.

`rl/partition.py` divides the parameters of a training step by this decision.
"""

from __future__ import annotations

import jax
from jaxtyping import PyTree

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core_jax.arrays import ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.backbone.lora import is_adapter

IMAGE_TOWER = "PaliGemma/img/"


def trained_leaves(actor: ShapeTree, ppo: PPOConfig) -> PyTree[bool]:
    """Returns a bool for each leaf of the actor, true where it is trained.

    Of a decoder with low-rank adapters (Hu et al., "LoRA", 2021), training changes only the adapters. All its other
    parameters, the token embedding included, keep their values. The image tower has no adapters and is trained as a
    whole or not at all.

    Args:
        actor: the tree {"PaliGemma": {"img": ..., "llm": ...}} of arrays or shapes.
        ppo: the PPO settings. `freeze_image_tower` keeps the image tower as it is, and `freeze_text_tower` keeps the
            decoder with its adapters as it is.
    """
    names = list(name_leaves(actor))
    adapters_only = any(is_adapter(name) for name in names)

    def is_trained(name: str) -> bool:
        if name.startswith(IMAGE_TOWER):
            return not ppo.freeze_image_tower
        return not ppo.freeze_text_tower and (is_adapter(name) or not adapters_only)

    return jax.tree.unflatten(jax.tree.structure(actor), [is_trained(name) for name in names])
