"""Counts the floating-point operations of a policy's matrix products, from which the shortest possible time follows.

Only matrix products are counted, with two operations for each multiplication and addition (Chowdhery et al., "PaLM",
2022, appendix B). Norms, softmax, and operations that are done a second time to save memory are not counted.
"""

from __future__ import annotations

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.backbone.variants import GemmaConfig, SigLIPConfig, resolve_variant

TRAINED, FROZEN = 3, 2
"""The number of products in a gradient step for each product of the forward pass.

The forward pass has one, the gradient of the inputs another, and the gradient of trained weights a third.
"""


def image_flops(model: Pi0FASTActorCriticConfig) -> int:
    """Returns the FLOPs of the image tower on the cameras of one observation."""
    variant = resolve_variant(model)
    patches = (model.image_size // model.patch_size) ** 2
    tower = variant.siglip
    embed = 2 * patches * model.patch_size**2 * 3 * tower.width
    head = 2 * patches * tower.width * variant.gemma.width
    return len(model.cameras) * (embed + tower.depth * _siglip_block(tower, patches) + head)


def decoder_flops(model: Pi0FASTActorCriticConfig, *, queries: int, keys: int) -> int:
    """Returns the FLOPs of all decoder blocks on `queries` tokens that see `keys` tokens each (masked ones count)."""
    gemma = resolve_variant(model).gemma
    return gemma.depth * _gemma_block(gemma, queries, keys)


def head_flops(model: Pi0FASTActorCriticConfig, *, tokens: int, classes: int) -> int:
    """Returns the FLOPs of the output head on `tokens` hidden states, over `classes` rows of the embedding."""
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
    """Returns the FLOPs of loss and gradients for one chunk. Those of adapters (below 1 %) are not counted.

    Args:
        model: sizes of the policy.
        slots: number of slots of the decoder, which hold image, prompt and action tokens.
        scored: number of action tokens whose log-probabilities are computed.
        classes: number of tokens that a log-probability is normalized over.
        image_products: products for each product of the image tower's forward pass; 0 where images are embedded before.
        decoder_products: products for each product of the decoder's forward pass. The first inputs need no gradient,
            but the count includes it.
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
