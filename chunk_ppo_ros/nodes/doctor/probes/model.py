"""Counts the parameters of the configured model, without allocating them."""

from __future__ import annotations

import math

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, PPOConfig
from chunk_ppo_ros.nodes.doctor.facts import ModelFacts


def model_facts(model: Pi0FASTActorCriticConfig, ppo: PPOConfig) -> ModelFacts:
    """Returns how many parameters the image tower and the decoder have, and how many of them are trained."""
    import jax

    from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
    from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST

    network = Pi0FAST.from_config(model)
    shapes = jax.eval_shape(lambda: network.init(key=jax.random.key(0)))
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    is_trained = jax.tree.leaves(FrozenTowers.of(ppo).trained_leaves(shapes))
    return ModelFacts(sum(sizes), sum(size for size, trained in zip(sizes, is_trained, strict=True) if trained))
