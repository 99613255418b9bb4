"""Counts of the floating-point operations that a policy's matrix products take; what bounds a time is read off them.

Only products are counted (two operations for each multiplication and addition), as model FLOPs are since Chowdhery et
al., "PaLM", 2022, appendix B: neither norms and softmax nor what is computed a second time to save memory.
"""

from __future__ import annotations

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.backbone.variants import GemmaConfig, SigLIPConfig, resolve_variant

TRAINED, FROZEN = 3, 2
"""Products of a gradient step for each of the forward pass: it, one towards the inputs, one towards trained weights."""


def image_flops(model: Pi0FASTActorCriticConfig) -> int:
    """FLOPs of the image tower on the cameras of one observation."""
    variant = resolve_variant(model)
    patches = (model.image_size // model.patch_size) ** 2
    tower = variant.siglip
    embed = 2 * patches * model.patch_size**2 * 3 * tower.width
    head = 2 * patches * tower.width * variant.gemma.width
    return len(model.cameras) * (embed + tower.depth * _siglip_block(tower, patches) + head)


def decoder_flops(model: Pi0FASTActorCriticConfig, *, queries: int, keys: int) -> int:
    """FLOPs of all decoder blocks on `queries` tokens that see `keys` tokens each (masked ones count)."""
    gemma = resolve_variant(model).gemma
    return gemma.depth * _gemma_block(gemma, queries, keys)


def head_flops(model: Pi0FASTActorCriticConfig, *, tokens: int, classes: int) -> int:
    """FLOPs of the output head on `tokens` hidden states, over `classes` rows of the embedding."""
    return 2 * tokens * resolve_variant(model).gemma.width * classes


def gradient_flops(
    model: Pi0FASTActorCriticConfig,
    *,
    slots: int,
    scored: int,
    classes: int,
    image_products: int = TRAINED,
    decoder_products: int = TRAINED,
) -> int:
    """Operations of loss and gradients for one chunk; those of adapters, less than a hundredth, are not counted.

    Args:
        model: the policy's sizes.
        slots: of the decoder: image tokens, prompt and action tokens.
        scored: action tokens whose log-probabilities are computed.
        classes: tokens that each of them is normalised over.
        image_products: products for each of the image tower's forward pass; 0 where images are embedded before.
        decoder_products: products for each of the decoder's; its first inputs need none, which is not deducted.
    """
    decoder = decoder_flops(model, queries=slots, keys=slots)
    head = head_flops(model, tokens=scored, classes=classes)
    return image_products * image_flops(model) + decoder_products * (decoder + head)


def _siglip_block(tower: SigLIPConfig, patches: int) -> int:
    projections = 4 * 2 * patches * tower.width**2
    attention = 2 * 2 * patches**2 * tower.width
    return projections + attention + 2 * 2 * patches * tower.width * tower.mlp_dim


def _gemma_block(gemma: GemmaConfig, queries: int, keys: int) -> int:
    heads = gemma.num_heads * gemma.head_dim
    key_value = 2 * gemma.num_kv_heads * gemma.head_dim
    projections = 2 * queries * gemma.width * (2 * heads + key_value)
    attention = 2 * 2 * queries * keys * heads
    return projections + attention + 3 * 2 * queries * gemma.width * gemma.mlp_dim
