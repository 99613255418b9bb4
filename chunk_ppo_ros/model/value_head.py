"""V(s): a two-layer perceptron on what the decoder knows before any action token is sampled."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model.initialization import draw_weights

Params = dict[str, Any]


def init_value_head(*, width: int, hidden_dim: int, key: Array) -> Params:
    """Fresh float32 parameters; the output layer is zero, so that every value starts at 0."""
    weights = draw_weights({"hidden": ((2 * width, hidden_dim), 2 * width)}, key=key)
    return {
        "hidden": {"kernel": weights["hidden"], "bias": jnp.zeros(hidden_dim)},
        "output": {"kernel": jnp.zeros((hidden_dim, 1)), "bias": jnp.zeros(1)},
    }


def apply_value_head(params: Params, hidden: Array, valid: Array, *, detach: bool) -> Array:
    """The value of each observation.

    Args:
        params: the tree of `init_value_head`.
        hidden: [B, P, W], the prefix after the final norm; its last slot predicts the first action token.
        valid: bool [B, P], the slots that count in the mean.
        detach: keep the gradient out of `hidden`.

    Returns:
        float32 [B], in units of reward: f([last hidden, mean of valid hidden]).
    """
    wide = hidden.astype(jnp.float32)
    if detach:
        wide = jax.lax.stop_gradient(wide)
    weights = valid[..., None] / jnp.sum(valid, axis=1, keepdims=True)[..., None]
    features = jnp.concatenate([wide[:, -1], jnp.sum(wide * weights, axis=1)], axis=-1)
    inner = jax.nn.gelu(features @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return (inner @ params["output"]["kernel"] + params["output"]["bias"])[:, 0]
