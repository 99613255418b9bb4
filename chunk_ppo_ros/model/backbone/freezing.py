"""Which of the actor's parameters are trained: by tower, and the adapters alone where the decoder has them.

Not here: how a training step divides its parameters (`rl/partition.py`).
"""

from __future__ import annotations

import jax
from jaxtyping import PyTree

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core_jax.arrays import ShapeTree
from chunk_ppo_ros.model.backbone.lora import is_adapter

IMAGE_TOWER = "PaliGemma/img/"


def trained_leaves(actor: ShapeTree, ppo: PPOConfig) -> PyTree[bool]:
    """A bool for each leaf of the actor, true where it is trained.

    A decoder with low-rank adapters (Hu et al., "LoRA", 2021) is trained by these alone: all its other parameters, the
    token embedding included, stand still. The image tower has no adapters and is trained as a whole or not at all.

    Args:
        actor: {"PaliGemma": {"img": ..., "llm": ...}}, arrays or shapes.
        ppo: `freeze_image_tower` keeps the image tower, `freeze_text_tower` the decoder with its adapters.
    """
    paths, structure = jax.tree.flatten_with_path(actor)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    adapters_only = any(is_adapter(name) for name in names)

    def is_trained(name: str) -> bool:
        if name.startswith(IMAGE_TOWER):
            return not ppo.freeze_image_tower
        return not ppo.freeze_text_tower and (is_adapter(name) or not adapters_only)

    return jax.tree.unflatten(structure, [is_trained(name) for name in names])
